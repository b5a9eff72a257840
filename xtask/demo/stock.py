"""Last backend of the demo."""


def application(environ, start_response):
    body = b"stock: 7 left\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
