"""Second backend of the demo: asks the stock from a thread that it starts while it serves."""

import os
import threading
import urllib.request


def application(environ, start_response):
    answers = []

    def ask():
        with urllib.request.urlopen(os.environ["STOCK_URL"]) as answer:
            answers.append(answer.read())

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    if not answers:
        start_response("502 Bad Gateway", [("Content-Length", "0")])
        return []
    body = b"cart: " + answers[0]
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
