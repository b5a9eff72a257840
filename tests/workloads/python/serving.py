"""An HTTP/1.1 keep-alive server with a thread per connection, on TCP ("host:port") or a unix socket ("unix:/path")."""

import http.server
import os
import socket
import socketserver


class Handler(http.server.BaseHTTPRequestHandler):
    """A quiet handler; subclasses say what is served."""

    protocol_version = "HTTP/1.1"

    def setup(self):
        # Head and body are written apart: with Nagle's algorithm each answer would wait for a delayed acknowledgement.
        self.disable_nagle_algorithm = self.request.family != socket.AF_UNIX
        super().setup()

    def answer(self, body, status=200):
        """A whole answer with its length."""
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: access logs are not what is tested."""


def serve(target, handler):
    """Serves for ever."""

    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True
        request_queue_size = 1024
        if target.startswith("unix:"):
            address_family = socket.AF_UNIX
        elif target.startswith("["):
            address_family = socket.AF_INET6

        def server_bind(self):
            # HTTPServer's own asks the resolver for the host's name.
            socketserver.TCPServer.server_bind(self)
            self.server_name, self.server_port = "localhost", 0

    if target.startswith("unix:"):
        if os.path.exists(target[5:]):
            os.unlink(target[5:])
        where = target[5:]
    else:
        host, port = target.rsplit(":", 1)
        where = (host.strip("[]"), int(port))
    server = Server(where, handler)
    # For harnesses that cannot knock, because the server is in a network of its own.
    print("listening", flush=True)
    server.serve_forever()
