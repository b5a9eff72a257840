"""A WSGI application for gunicorn: each request takes a service time (times.py) and makes one call to $BACKEND, for
$BACKEND_PATH or /work, over a kept-alive connection of the worker's thread, or greenlet. With $FORWARD set it passes a `traceparent`
on as it came, as simple programs do."""

import os
import threading

import calls
import times
import truth

# Filled on first use, after gunicorn forked.
_mine = threading.local()


def app(environ, start_response):
    """The application."""
    exchange_id = environ.get("HTTP_X_TRUTH", "")
    truth.seen_in(exchange_id, environ["gunicorn.socket"])
    if not hasattr(_mine, "caller"):
        _mine.caller = calls.Caller(os.environ["BACKEND"])
    times.serve()
    headers = {}
    if "FORWARD" in os.environ and "HTTP_TRACEPARENT" in environ:
        headers["traceparent"] = environ["HTTP_TRACEPARENT"]
    status = _mine.caller.call(exchange_id + ".1", os.environ.get("BACKEND_PATH", "/work"), headers)
    body = b"app %d\n" % status
    start_response("200 OK", [("content-length", str(len(body)))])
    return [body]
