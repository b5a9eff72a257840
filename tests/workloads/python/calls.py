"""Outgoing calls, as ordinary blocking Python makes them."""

import http.client
import socket
import time

import truth


class _Connection(http.client.HTTPConnection):
    """http.client over TCP ("host:port") or a unix socket ("unix:/path"). No time-out: the socket stays blocking."""

    def __init__(self, target):
        self._unix_path = target[5:] if target.startswith("unix:") else None
        super().__init__("localhost" if self._unix_path else target)

    def connect(self):
        if self._unix_path is None:
            super().connect()
        else:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.connect(self._unix_path)


class Caller:
    """A kept-alive connection, used by one thread at a time."""

    def __init__(self, target):
        self._connection = _Connection(target)

    def call(self, exchange_id, path="/work", headers=None):
        """Sends one request, reads the whole answer, tells the truth; gives the status."""
        start = time.time_ns()
        self._connection.request("GET", path, headers={"x-truth": exchange_id} | (headers or {}))
        ends = truth.ends(self._connection.sock)
        response = self._connection.getresponse()
        response.read()
        truth.seen_out(exchange_id, ends, start)
        return response.status

    def close(self):
        """Closes the connection."""
        self._connection.close()


def call_once(target, exchange_id, path="/work", headers=None):
    """One call over a connection of its own."""
    caller = Caller(target)
    try:
        return caller.call(exchange_id, path, headers)
    finally:
        caller.close()
