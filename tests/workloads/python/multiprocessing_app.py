"""`multiprocessing_app.py TARGET BACKEND`: a threaded server; one of a pool of 8 forked processes makes each call."""

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
        _pool.apply(_call, (self.headers["x-truth"] + ".1",))
        self.answer(b"ok\n")


if __name__ == "__main__":
    _pool = multiprocessing.get_context("fork").Pool(8)
    serving.serve(sys.argv[1], _Server)
