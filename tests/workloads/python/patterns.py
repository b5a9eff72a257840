"""`patterns.py TARGET BACKEND`: a threaded server whose path names the way the work changes hands before the call.

/direct       the thread that read the request calls
/join         a thread of its own makes the call, and is waited for
/pool         a job of a shared, lazily grown pool of 8 makes the call, and is waited for
/thread-pool  a job of a shared pool of 16 that was there before makes the call over its thread's kept-alive connection
/queue        one of 16 threads takes it from a queue.Queue and makes the call, which is waited for
/outlive      a thread is started that calls 300 ms after the answer
/loop         a thread is started that calls every 200 ms for 2 s, long after the answer
/fork         a forked child calls with nothing but a socket, and is waited for
/spawn        a fresh interpreter calls, and is waited for

Each caller takes a service time first (times.py).
"""

import concurrent.futures
import os
import queue
import subprocess
import sys
import threading
import time

import calls
import serving
import times
import truth

_BACKEND = sys.argv[2]
_pool = concurrent.futures.ThreadPoolExecutor(max_workers=8)
_of_thread = threading.local()


def _ready_pool(size):
    """A pool whose threads are all there."""
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=size)
    meeting = threading.Barrier(size)
    concurrent.futures.wait([pool.submit(meeting.wait) for _ in range(size)])
    return pool


_ready = _ready_pool(16)
_queue = queue.Queue()
_SPAWNED = "import sys; sys.path.insert(0, sys.argv[1]); import calls; calls.call_once(sys.argv[2], sys.argv[3])"


def _call(exchange_id):
    times.serve()
    calls.call_once(_BACKEND, exchange_id)


def _call_kept_alive(exchange_id):
    times.serve()
    if not hasattr(_of_thread, "caller"):
        _of_thread.caller = calls.Caller(_BACKEND)
    _of_thread.caller.call(exchange_id)


def _join(request_id):
    thread = threading.Thread(target=_call, args=(request_id + ".1",))
    thread.start()
    thread.join()


def _take():
    while True:
        request_id, made = _queue.get()
        _call_kept_alive(request_id + ".1")
        made.set()


def _put(request_id):
    made = threading.Event()
    _queue.put((request_id, made))
    made.wait()


def _outlive(request_id):
    def later():
        time.sleep(0.3)
        _call(request_id + ".1")

    threading.Thread(target=later).start()


def _loop(request_id):
    def again():
        for number in range(1, 11):
            time.sleep(0.2)
            _call(f"{request_id}.{number}")

    threading.Thread(target=again).start()


def _fork(request_id):
    child = os.fork()
    if child == 0:
        try:
            _call(request_id + ".1")
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def _spawn(request_id):
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run([sys.executable, "-I", "-S", "-B", "-c", _SPAWNED, here, _BACKEND, request_id + ".1"], check=True)


_PATTERNS = {
    "/direct": lambda request_id: _call(request_id + ".1"),
    "/join": _join,
    "/pool": lambda request_id: _pool.submit(_call, request_id + ".1").result(),
    "/thread-pool": lambda request_id: _ready.submit(_call_kept_alive, request_id + ".1").result(),
    "/queue": _put,
    "/outlive": _outlive,
    "/loop": _loop,
    "/fork": _fork,
    "/spawn": _spawn,
}


class Patterns(serving.Handler):
    def do_GET(self):
        request_id = self.headers.get("x-truth", "")
        truth.seen_in(request_id, self.connection)
        _PATTERNS[self.path](request_id)
        self.answer(b"pattern\n")


if __name__ == "__main__":
    for _ in range(16):
        threading.Thread(target=_take, daemon=True).start()
    serving.serve(sys.argv[1], Patterns)
