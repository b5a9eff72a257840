"""Starts processes of Python at a rate that live for a moment, each in one of four ways, and says when all have ended.

Each opens a connection, makes contexts and puts items into a queue; then it ends, is killed, forks a child that makes some
more, or runs another program in its place.

Usage: short_lived.py COUNT PER_SECOND
"""

import contextvars
import os
import queue
import signal
import socket
import subprocess
import sys
import time

KEPT = 20


def live(port, way):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.send(b"here")
    kept = [contextvars.copy_context() for _ in range(KEPT)]
    waiting = queue.SimpleQueue()
    for context in kept:
        context.run(waiting.put, object())
    # The agent looks at a process when it is first told of, and the test looks from time to time at what is kept.
    time.sleep(0.3)
    kept += [contextvars.copy_context() for _ in range(KEPT)]
    time.sleep(0.3)
    if way == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if way == "fork":
        child = os.fork()
        kept += [contextvars.copy_context() for _ in range(KEPT)]
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    if way == "exec":
        os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", "pass"])


def start(count, per_second):
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = str(listener.getsockname()[1])
    sys.stdin.readline()
    begun = time.monotonic()
    running = []
    for number in range(count):
        time.sleep(max(0, begun + number / per_second - time.monotonic()))
        way = ("end", "kill", "fork", "exec")[number % 4]
        running.append(subprocess.Popen([sys.executable, "-I", "-S", __file__, "child", port, way]))
        listener.accept()[0].close()
        running = [one for one in running if one.poll() is None]
    for one in running:
        one.wait()
    print("done", round(time.monotonic() - begun, 1), flush=True)
    sys.stdin.readline()


if sys.argv[1] == "child":
    live(int(sys.argv[2]), sys.argv[3])
else:
    start(int(sys.argv[1]), float(sys.argv[2]))
