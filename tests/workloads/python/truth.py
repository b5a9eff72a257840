"""The truth, told out of band: which request a call really belongs to, as one JSON line per sighting in $TRUTH_LOG.

An exchange has an id: a request that the driver sent has its own, and each call made while serving it appends a part
("r7" -> "r7.1"), so that the cause of an exchange is its id without the last part. Ids travel in the header `x-truth`,
which nothing in the agent looks at; a file is written in one call, which is no socket traffic.
"""

import json
import os
import time

_log = os.open(os.environ["TRUTH_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if "TRUTH_LOG" in os.environ else None


def address(name):
    """A socket name as spans and logs write it."""
    if isinstance(name, tuple):
        return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
    return "unix:" + (name.decode() if isinstance(name, bytes) else name)


def ends(sock):
    """Both ends of a connected socket: (local, peer)."""
    return address(sock.getsockname()), address(sock.getpeername())


def seen_in(truth, sock):
    """A request with this id was read from this connection; to be called before anything is done for it."""
    if truth:
        now = time.time_ns()
        _write("in", truth, ends(sock), now, now)


def seen_out(truth, both_ends, start_ns):
    """A call with this id was made over the connection with these ends; to be called when it was answered or given up."""
    if truth:
        _write("out", truth, both_ends, start_ns, time.time_ns())


def _write(event, truth, both_ends, start_ns, end_ns):
    if _log is None:
        return
    line = {"event": event, "id": truth, "pid": os.getpid(), "local": both_ends[0], "peer": both_ends[1]}
    line |= {"from_ns": start_ns, "to_ns": end_ns}
    os.write(_log, json.dumps(line).encode() + b"\n")
