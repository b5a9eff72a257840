"""`actor.py`: does what it is told, call for call.

Each line of input is a JSON text of Python statements, run in one namespace that has the names below; the answer is a
line `NUMBER VALUE`, the value of the last statement as JSON if that is an expression of such a value. An error ends the
program. `actor.py NUMBER NAME DESCRIPTOR` goes on where another actor executed it (`player.execute`).
"""

import ast
import ctypes
import json
import mmap
import os
import socket
import subprocess
import sys
import threading
import time

import player
import uring
from player import messages

libc = ctypes.CDLL(None, use_errno=True)
SO_COOKIE = 57


def cookie(sock):
    """The kernel's name of a socket."""
    return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8), sys.byteorder)


def tcp(host="127.0.0.1"):
    """Both ends of a fresh TCP connection: the one that connected, the one that was accepted."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen()
        client = socket.create_connection(listener.getsockname()[:2])
        server, _ = listener.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server


def unix(path):
    """The same over a unix socket bound to `path`."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        server, _ = listener.accept()
    return client, server


def take(sock, count):
    """Reads exactly `count` bytes, a call for whatever is there."""
    got = b""
    while len(got) < count:
        piece = sock.recv(count - len(got))
        if not piece:
            raise ConnectionError(f"{len(got)} of {count} bytes")
        got += piece
    return got


def in_thread(work):
    """Runs `work` in a thread of its own and waits until it is gone; gives its thread id."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    # Python calls a thread done a moment before the kernel does.
    while os.path.exists(f"/proc/self/task/{thread.native_id}"):
        time.sleep(0.001)
    return thread.native_id


def write_as_32_bit(sock, data):
    """write(2) through the gate of 32-bit programs, from an address that fits it; gives the result."""
    map_32bit = 0x40
    memory = mmap.mmap(-1, 8192, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | map_32bit, 7)
    # push rbx; mov ebx, edi; mov ecx, esi; mov eax, 4; int 0x80; pop rbx; ret
    code = bytes.fromhex("53 89fb 89f1 b804000000 cd80 5b c3")
    memory[: len(code)] = code
    memory[4096 : 4096 + len(data)] = data
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_uint, ctypes.c_uint)(start)
    return call(sock.fileno(), start + 4096, len(data))


def _main():
    names = dict(globals())
    first = 1
    if len(sys.argv) > 1:
        first = int(sys.argv[1])
        player.inherit(sys.argv[2], int(sys.argv[3]))
        print(first - 1, "null", flush=True)
    for number, line in enumerate(sys.stdin, first):
        tree = ast.parse(json.loads(line))
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "told", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "told", "eval"), names) if last else None
        print(number, json.dumps(value, default=lambda value: type(value).__name__), flush=True)


_main()
