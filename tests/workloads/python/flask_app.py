"""A Flask application for gunicorn's gevent workers, in which a thread is a greenlet. Every request makes two calls:

/threads  each in a thread that is started for it
/stream   before the first and the last piece of its answer, which is a stream
"""

import os
import threading

import calls
import flask
import times
import truth

app = flask.Flask(__name__)
_idle = []


def _call(exchange_id):
    times.serve()
    caller = _idle.pop() if _idle else calls.Caller(os.environ["BACKEND"])
    caller.call(exchange_id)
    _idle.append(caller)


@app.before_request
def _see():
    truth.seen_in(flask.request.headers.get("x-truth", ""), flask.request.environ["gunicorn.socket"])


@app.get("/threads")
def _threads():
    exchange_id = flask.request.headers.get("x-truth", "")
    threads = [threading.Thread(target=_call, args=(f"{exchange_id}.{number}",)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "ok\n"


@app.get("/stream")
def _stream():
    exchange_id = flask.request.headers.get("x-truth", "")

    def pieces():
        for number in (1, 2):
            _call(f"{exchange_id}.{number}")
            yield "ok\n"

    return flask.Response(pieces(), headers={"content-length": "6"})
