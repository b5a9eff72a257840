"""`celery_app.py TARGET`: a threaded server that sends each request's work to Celery over the Redis at $REDIS, and answers
without waiting. `celery --app celery_app worker` is what does it: the call to $BACKEND. Other paths send a chain of two tasks
(`/chain`), one that is to be done later (`/later`), and one that its worker has to do twice (`/retry`)."""

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


@app.task(ignore_result=True, bind=True)
def retried(self, exchange_id):
    """Calls, and is put again by its worker, to call once more."""
    work(f"{exchange_id}.{self.request.retries + 1}")
    if self.request.retries == 0:
        raise self.retry(countdown=0)


def _work(exchange_id):
    return app.signature("celery_app.work", (exchange_id,), immutable=True)


class _Server(serving.Handler):
    def do_GET(self):
        times.serve()
        asked = self.headers["x-truth"]
        if self.path == "/chain":
            celery.chain(_work(f"{asked}.1"), _work(f"{asked}.2"), app=app).delay()
        elif self.path == "/later":
            _work(f"{asked}.1").apply_async(countdown=1)
        elif self.path == "/retry":
            app.send_task("celery_app.retried", (asked,))
        else:
            app.send_task("celery_app.work", (asked + ".1",))
        self.answer(b"ok\n")


if __name__ == "__main__":
    serving.serve(sys.argv[1], _Server)
