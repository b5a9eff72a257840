"""`celery_app.py TARGET`: a threaded server that sends each request's work to Celery over the Redis at $REDIS, and answers
without waiting. `celery --app celery_app worker` is what does it: the call to $BACKEND."""

import os
import sys

import calls
import celery
import serving
import times

app = celery.Celery("patterns", broker=f"redis://{os.environ['REDIS']}/0")
_caller = None


@app.task(ignore_result=True)
def work(exchange_id):
    """Calls, in a process of the worker's pool."""
    global _caller
    times.serve()
    _caller = _caller or calls.Caller(os.environ["BACKEND"])
    _caller.call(exchange_id)


class _Server(serving.Handler):
    def do_GET(self):
        times.serve()
        app.send_task("celery_app.work", (self.headers["x-truth"] + ".1",))
        self.answer(b"ok\n")


if __name__ == "__main__":
    serving.serve(sys.argv[1], _Server)
