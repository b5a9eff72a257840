"""Service times: random, up to $SERVICE_MS milliseconds and by default none, in a sequence that $SEED begins."""

import functools
import os
import random
import time

_MOST = float(os.environ.get("SERVICE_MS", 0)) / 1000


@functools.cache
def _random(pid):
    # A generator of its own for each process, or forked ones would all draw the same.
    return random.Random(f"{os.environ.get('SEED', 1)} {pid}")


def draw():
    """One service time, in seconds."""
    return _random(os.getpid()).uniform(0, _MOST)


def serve():
    """Works for one service time."""
    if _MOST:
        time.sleep(draw())
