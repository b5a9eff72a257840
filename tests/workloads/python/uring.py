"""io_uring(7) by its three system calls, as far as moving bytes of sockets needs it."""

import ctypes
import mmap
import os
import struct

_SETUP, _ENTER = 425, 426
_GETEVENTS, _SQ_WAKEUP = 1, 2
_SQES_OFFSET = 0x10000000
_SEND, _RECV = 26, 27

SQPOLL = 2
"""Set-up flag: a kernel thread submits."""
ASYNC = 16
"""Operation flag: a worker thread does it, even if it could be done at once."""

_libc = ctypes.CDLL(None, use_errno=True)


class Ring:
    """A ring with one operation under way at a time."""

    def __init__(self, setup_flags=0):
        parameters = bytearray(120)
        # Flags, then the idle time in ms after which the kernel thread of SQPOLL sleeps.
        struct.pack_into("=8xI4xI", parameters, 0, setup_flags, 60_000)
        self._fd = _checked(_libc.syscall(_SETUP, 4, (ctypes.c_char * 120).from_buffer(parameters)))
        entries, cq_entries = struct.unpack_from("=II", parameters)
        _, self._tail, self._mask, _, _, _, self._array = struct.unpack_from("=7I", parameters, 40)
        self._cq_head, self._cq_tail, self._cq_mask, _, _, self._cqes = struct.unpack_from("=6I", parameters, 80)
        length = max(self._array + 4 * entries, self._cqes + 16 * cq_entries)
        self._ring = mmap.mmap(self._fd, length, mmap.MAP_SHARED | mmap.MAP_POPULATE)
        self._sqes = mmap.mmap(self._fd, 64 * entries, mmap.MAP_SHARED | mmap.MAP_POPULATE, offset=_SQES_OFFSET)
        self._polled = bool(setup_flags & SQPOLL)

    def receive(self, sock, count, flags=0):
        """Begins to receive into a buffer of its own; gives the buffer."""
        buffer = ctypes.create_string_buffer(b"?" * count, count)
        self._submit(_RECV, sock.fileno(), buffer, flags)
        return buffer

    def send(self, sock, data, flags=0):
        """Begins to send."""
        self._submit(_SEND, sock.fileno(), ctypes.create_string_buffer(data, len(data)), flags)

    def result(self):
        """The result of the operation if it is over; none if not."""
        head, tail = self._load(self._cq_head), self._load(self._cq_tail)
        if head == tail:
            return None
        (result,) = struct.unpack_from("=8xi", self._ring, self._cqes + 16 * (head & self._load(self._cq_mask)))
        struct.pack_into("=I", self._ring, self._cq_head, (head + 1) & 0xFFFFFFFF)
        return result

    def wait(self):
        """Waits until the operation is over; gives its result."""
        while (result := self.result()) is None:
            self._enter(0, _GETEVENTS)
        return result

    def _submit(self, operation, fd, buffer, flags):
        self._buffer = buffer
        tail = self._load(self._tail)
        slot = tail & self._load(self._mask)
        entry = struct.pack("=BBHiQQI36x", operation, flags, 0, fd, 0, ctypes.addressof(buffer), len(buffer))
        self._sqes[64 * slot : 64 * slot + 64] = entry
        struct.pack_into("=I", self._ring, self._array + 4 * slot, slot)
        struct.pack_into("=I", self._ring, self._tail, (tail + 1) & 0xFFFFFFFF)
        # The kernel thread of SQPOLL may sleep however long its idle time is: before its first operation already.
        self._enter(1, _SQ_WAKEUP if self._polled else 0)

    def _enter(self, submitted, flags):
        wanted = 1 if flags & _GETEVENTS else 0
        _checked(_libc.syscall(_ENTER, self._fd, submitted, wanted, flags, None, 0))

    def _load(self, offset):
        return struct.unpack_from("=I", self._ring, offset)[0]


def _checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
