"""What the player of `tests/src/play` has its actors do: connections of every kind, and every way to move their bytes.

Ways to move bytes return when they began and ended, in nanoseconds since the epoch. A call must move all it is given, since
how many calls there are matters: what falls short is an error.
"""

import array
import concurrent.futures
import ctypes
import os
import select
import socket
import struct
import sys
import time

import uring

_MPTCP = 262
_SO_ZEROCOPY, _MSG_ZEROCOPY = 60, 0x4000000
_RESET = struct.pack("=ii", 1, 0)
_libc = ctypes.CDLL(None, use_errno=True)

_listeners = {}
"""By the number of the connection."""
_threads = {}
ends = {}
"""Ends of connections this process holds, by names."""


# Connections.


def listen(number, kind, where=None):
    """Listens for one connection; gives where."""
    family, protocol = _family(kind)
    listener = socket.socket(family, proto=protocol if kind != "mptcp_listener" else _MPTCP)
    if kind == "reuse_port":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family != socket.AF_UNIX:
        where = tuple(where or ("::" if kind == "mapped" else _loopback(family), 0))
    listener.bind(where)
    listener.listen()
    _listeners[number] = listener
    return listener.getsockname() if family != socket.AF_UNIX else where


def connect(name, kind, where):
    """Connects to where a listener is."""
    family, protocol = _family(kind)
    end = socket.socket(family, proto=protocol)
    if family != socket.AF_UNIX:
        where = ("::ffff:127.0.0.1" if kind == "mapped" else where[0], where[1])
    end.connect(where)
    return _hold(name, end)


def accept(name, number, limit=None):
    """Takes the connection that was made, and listens no more. None if there is none within the limit."""
    listener = _listeners[number]
    if limit is not None and not select.select([listener], [], [], limit)[0]:
        listener.close()
        return None
    end, _ = listener.accept()
    listener.close()
    return _hold(name, end)


def pair(name, other):
    """A pair of unix sockets without names."""
    ends[name], ends[other] = socket.socketpair()


def hand(name, where):
    """Hands an end to the process that takes it at `where`, and holds it no more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as carrier:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [ends[name].fileno()]))
        carrier.connect(where)
        carrier.sendmsg([b"!"], [rights])
    ends.pop(name).close()


def expect(where):
    """Gets ready to be handed an end at `where`."""
    carrier = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    carrier.bind(where)
    _listeners[where] = carrier


def take(name, where):
    """Takes the end that was handed over."""
    with _listeners.pop(where) as carrier:
        _, rights, _, _ = carrier.recvmsg(1, socket.CMSG_SPACE(4))
    (descriptor,) = array.array("i", rights[0][2][:4])
    ends[name] = socket.socket(fileno=descriptor)


def duplicate(name):
    """Goes on by a duplicate of the descriptor."""
    first = ends[name]
    ends[name] = first.dup()
    first.close()


def fork():
    """Goes on in a forked process; the one that forked waits for its end, and ends as well."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os._exit(0)


def execute(name, number):
    """Goes on in another program, which inherits the end; its next command has this number."""
    end = ends[name]
    end.set_inheritable(True)
    os.execv(sys.executable, [sys.executable, sys.argv[0], str(number), name, str(end.fileno())])


def inherit(name, descriptor):
    """Holds an end that was inherited."""
    ends[name] = socket.socket(fileno=descriptor)


# Bytes.


def by_thread(number, work):
    """Has a thread of this number do it; the same one each time."""
    if number not in _threads:
        _threads[number] = concurrent.futures.ThreadPoolExecutor(max_workers=1)
    return _threads[number].submit(work).result()


def say(name, data, call, sizes):
    """Sends all of `data` by this call."""
    end, begun = ends[name], time.time_ns()
    _SENDING[call](end, data, sizes)
    return [begun, time.time_ns()]


def hear(name, count, call, sizes):
    """Receives exactly `count` bytes by this call."""
    end, begun, left = ends[name], time.time_ns(), count
    while left > 0:
        got = _RECEIVING[call](end, left, sizes)
        if got <= 0:
            raise ConnectionError(f"the end, {left} of {count} bytes early")
        left -= got
    return [begun, time.time_ns()]


def hear_end(name):
    """Reads the end of the stream."""
    begun = time.time_ns()
    if got := ends[name].recv(1000):
        raise ConnectionError(f"{got} in place of the end")
    return [begun, time.time_ns()]


def fail(name, errno):
    """A read fails."""
    begun = time.time_ns()
    try:
        got = ends[name].recv(1000)
    except OSError as error:
        if error.errno == errno:
            return [begun, time.time_ns()]
        raise
    raise ConnectionError(f"{got} in place of an error")


def finish(name):
    """Sends no more."""
    begun = time.time_ns()
    ends[name].shutdown(socket.SHUT_WR)
    return [begun, time.time_ns()]


def close(name):
    """Closes the end, if it is held."""
    begun = time.time_ns()
    if name in ends:
        ends.pop(name).close()
    return [begun, time.time_ns()]


def reset(name):
    """Closes the end with a reset."""
    ends[name].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    return close(name)


def _all(sent, data):
    if sent != len(data):
        raise ConnectionError(f"{sent} of {len(data)} bytes were sent")


def _more(end, data, sizes):
    parts = _parts(data, sizes)
    for part in parts[:-1]:
        _all(end.send(part, socket.MSG_MORE), part)
    _all(end.send(parts[-1]), parts[-1])


def _partial(end, data, _):
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    end.setblocking(False)
    calls = 0
    while data:
        select.select([], [end], [])
        sent = end.send(data)
        data, calls = data[sent:], calls + 1
    end.setblocking(True)
    if calls < 2:
        raise ConnectionError("all was sent at once")


def _zero_copy(end, data, _):
    end.setsockopt(socket.SOL_SOCKET, _SO_ZEROCOPY, 1)
    _all(end.send(data, _MSG_ZEROCOPY), data)
    poll = select.poll()
    poll.register(end, 0)
    if not poll.poll(10_000):
        raise ConnectionError("no completion")
    end.recvmsg(1, 512, socket.MSG_ERRQUEUE)


def _send_messages(end, data, sizes):
    parts = [ctypes.create_string_buffer(part, len(part)) for part in _parts(data, sizes)]
    if _libc.sendmmsg(end.fileno(), messages(*parts), len(parts), 0) != len(parts):
        raise ConnectionError("not all messages were sent")


def _sendfile(end, data, _):
    file = os.memfd_create("play")
    os.write(file, data)
    _all(os.sendfile(end.fileno(), file, 0, len(data)), data)
    os.close(file)


def _splice_out(end, data, _):
    reader, writer = os.pipe()
    os.write(writer, data)
    _all(os.splice(reader, end.fileno(), len(data)), data)
    os.close(reader)
    os.close(writer)


def _ring_out(setup=0, operation=0):
    def send(end, data, _):
        ring = uring.Ring(setup)
        ring.send(end, data, operation)
        # A ring that the kernel polls is not entered.
        while (sent := ring.result() if setup else ring.wait()) is None:
            time.sleep(0.001)
        _all(sent, data)

    return send


_SENDING = {
    "send": lambda end, data, _: _all(end.send(data), data),
    "write": lambda end, data, _: _all(os.write(end.fileno(), data), data),
    "writev": lambda end, data, sizes: _all(os.writev(end.fileno(), _parts(data, sizes)), data),
    "pwritev2": lambda end, data, sizes: _all(
        os.pwritev(end.fileno(), _parts(data, sizes), -1, os.RWF_HIPRI), data
    ),
    "sendmsg": lambda end, data, sizes: _all(end.sendmsg(_parts(data, sizes)), data),
    "more": _more,
    "partial": _partial,
    "zero_copy": _zero_copy,
    "sendmmsg": _send_messages,
    "sendfile": _sendfile,
    "splice": _splice_out,
    "ring": _ring_out(),
    "ring_worker": _ring_out(operation=uring.ASYNC),
    "ring_polled": _ring_out(setup=uring.SQPOLL),
}


def _peeked(end, left, _):
    end.recv(10, socket.MSG_PEEK)
    end.recv(left, socket.MSG_PEEK)
    return len(end.recv(min(left, 65_536)))


def _non_blocking(end, left, _):
    end.setblocking(False)
    select.select([end], [], [])
    got = len(end.recv(min(left, 65_536)))
    end.setblocking(True)
    return got


def _receive_messages(end, left, sizes):
    parts = [ctypes.create_string_buffer(len(part)) for part in _parts(bytes(left), sizes)]
    array = messages(*parts)
    received = _libc.recvmmsg(end.fileno(), array, len(parts), 0, None)
    return sum(array[number].length for number in range(received))


def _splice_in(end, left, _):
    reader, writer = os.pipe()
    got = os.splice(end.fileno(), writer, left)
    os.close(reader)
    os.close(writer)
    return got


def _ring_in(operation=0):
    def receive(end, left, _):
        ring = uring.Ring()
        ring.receive(end, left, operation)
        return ring.wait()

    return receive


_RECEIVING = {
    "recv": lambda end, left, _: len(end.recv(min(left, 65_536))),
    "read": lambda end, left, _: len(os.read(end.fileno(), min(left, 65_536))),
    "readv": lambda end, left, sizes: os.readv(end.fileno(), _buffers(left, sizes)),
    "preadv2": lambda end, left, sizes: os.preadv(end.fileno(), _buffers(left, sizes), -1, os.RWF_HIPRI),
    "recvmsg": lambda end, left, sizes: end.recvmsg_into(_buffers(left, sizes))[0],
    "peeked": _peeked,
    "wait_all": lambda end, left, _: len(end.recv(left, socket.MSG_WAITALL)),
    "non_blocking": _non_blocking,
    "dropped": lambda end, left, _: _libc.recv(end.fileno(), None, left, socket.MSG_TRUNC),
    "recvmmsg": _receive_messages,
    "splice": _splice_in,
    "ring": _ring_in(),
    "ring_worker": _ring_in(uring.ASYNC),
}


class Message(ctypes.Structure):
    """`struct mmsghdr` with one buffer behind it."""

    class Vector(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_size_t),
        ("vectors", ctypes.POINTER(Vector)),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_size_t),
        ("length", ctypes.c_size_t),
    ]


def messages(*buffers):
    """An array for sendmmsg and recvmmsg over ctypes buffers."""
    array = (Message * len(buffers))()
    for message, buffer in zip(array, buffers):
        vector = Message.Vector(ctypes.addressof(buffer), ctypes.sizeof(buffer))
        message.vectors, message.count = ctypes.pointer(vector), 1
    return array


def _parts(data, sizes):
    parts = []
    for size in sizes:
        parts.append(data[:size])
        data = data[size:]
    return [part for part in [*parts, data] if part]


def _buffers(left, sizes):
    return [bytearray(len(part)) for part in _parts(bytes(left), sizes)]


def _family(kind):
    if kind.startswith("unix"):
        return socket.AF_UNIX, 0
    family = socket.AF_INET6 if kind in ("ipv6", "mapped") else socket.AF_INET
    return family, _MPTCP if kind == "mptcp" else 0


def _loopback(family):
    return "::1" if family == socket.AF_INET6 else "127.0.0.1"


def _hold(name, end):
    if end.family != socket.AF_UNIX:
        # What is said in one call is heard at once.
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ends[name] = end
    return [_name(end, end.getsockname()), _name(end, end.getpeername())]


def _name(end, address):
    """An end of a connection as spans write it."""
    if end.family == socket.AF_UNIX:
        name = address.decode() if isinstance(address, bytes) else address
        return "unix:" + name.replace("\0", "@")
    host = address[0].removeprefix("::ffff:")
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"
