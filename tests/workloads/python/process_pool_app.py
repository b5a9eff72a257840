"""`process_pool_app.py TARGET BACKEND`: a threaded server; a process of a `ProcessPoolExecutor` makes each call."""

import concurrent.futures
import multiprocessing
import sys

import calls
import serving
import times

_caller = None


def _call(exchange_id):
    global _caller
    times.serve()
    _caller = _caller or calls.Caller(sys.argv[2])
    _caller.call(exchange_id)


class _Server(serving.Handler):
    def do_GET(self):
        _pool.submit(_call, self.headers["x-truth"] + ".1").result()
        self.answer(b"ok\n")


if __name__ == "__main__":
    _pool = concurrent.futures.ProcessPoolExecutor(8, multiprocessing.get_context("fork"))
    # Its processes are started before anything is served.
    list(_pool.map(abs, range(64)))
    serving.serve(sys.argv[1], _Server)
