"""First backend of the demo: answers an order by asking the cart over a unix socket, on the thread that serves."""

import http.client
import os
import socket


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


def application(environ, start_response):
    connection = UnixConnection(os.environ["CART_SOCKET"])
    connection.request("GET", "/cart/42")
    answer = connection.getresponse()
    body = b"order: " + answer.read()
    connection.close()
    start_response(f"{answer.status} {answer.reason}", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
