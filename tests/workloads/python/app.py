"""A WSGI application for gunicorn's sync workers: each request makes one call to $BACKEND, for $BACKEND_PATH, over the
worker's kept-alive connection. With $FORWARD set it passes a `traceparent` on as it came, as simple programs do."""

import os

import calls
import truth

_caller = None


def app(environ, start_response):
    """The application."""
    global _caller
    exchange_id = environ.get("HTTP_X_TRUTH", "")
    truth.seen_in(exchange_id, environ["gunicorn.socket"])
    # Made on first use, after gunicorn forked: the connection belongs to one worker.
    _caller = _caller or calls.Caller(os.environ["BACKEND"])
    headers = {}
    if "FORWARD" in os.environ and "HTTP_TRACEPARENT" in environ:
        headers["traceparent"] = environ["HTTP_TRACEPARENT"]
    status = _caller.call(exchange_id + ".1", os.environ["BACKEND_PATH"], headers)
    body = b"app %d\n" % status
    start_response("200 OK", [("content-length", str(len(body)))])
    return [body]
