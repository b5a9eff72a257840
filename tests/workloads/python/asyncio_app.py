"""`asyncio_app.py TARGET BACKEND`: one event loop that serves overlapping requests with kept-alive connections on both
sides. Each request sleeps 0-20 ms, makes its calls over whichever pooled connections are free, and sleeps again: by the
kernel's view any reading may be the cause of any call. With $FORWARD set it passes a `traceparent` on; $LOOP may say
`uvloop`.

The path names the unit that calls:

/                     the connection's own task
/task                 a task created for the call, and awaited
/gather               three tasks at a time
/fire-and-forget      a task that nobody waits for; the answer comes first
/background-exporter  the connection's own task; and a task that the first request creates calls for nobody, again and again
/timeout-retry        a task that is given up on after 200 ms, and then another one
/to-thread            a thread of the loop's default pool
/run-in-executor      a thread of a pool of 16
/queue                one of 16 tasks, started before, that take from an asyncio.Queue
"""

import asyncio
import concurrent.futures
import os
import random
import sys
import threading
import time

import calls
import truth

_BACKEND = sys.argv[2]
_pool = []
_mine = threading.local()


async def _read_message(reader):
    """Start line, headers and body of one message; None at the end of the stream."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return lines[0], headers, body


async def _call(exchange_id, traceparent=None, path="/work"):
    start = time.time_ns()
    host, port = _BACKEND.rsplit(":", 1)
    reader, writer = _pool.pop() if _pool else await asyncio.open_connection(host, int(port))
    ends = truth.ends(writer.get_extra_info("socket"))
    try:
        forwarded = f"traceparent: {traceparent}\r\n" if "FORWARD" in os.environ and traceparent else ""
        writer.write(f"GET {path} HTTP/1.1\r\nhost: {_BACKEND}\r\nx-truth: {exchange_id}\r\n{forwarded}\r\n".encode())
        if await _read_message(reader) is None:
            raise ConnectionError("the backend closed the connection")
    except asyncio.CancelledError:
        # The answer is still to come: nobody else may read it.
        writer.close()
        truth.seen_out(exchange_id, ends, start)
        raise
    truth.seen_out(exchange_id, ends, start)
    _pool.append((reader, writer))


def _call_blocking(exchange_id):
    if not hasattr(_mine, "caller"):
        _mine.caller = calls.Caller(_BACKEND)
    _mine.caller.call(exchange_id)


async def _later(*call):
    await asyncio.sleep(random.uniform(0, 0.02))
    await _call(*call)


async def _direct(request_id, traceparent):
    await _call(request_id + ".1", traceparent)


async def _task(request_id, traceparent):
    await asyncio.create_task(_later(request_id + ".1", traceparent))


async def _gather(request_id, traceparent):
    await asyncio.gather(*(_later(f"{request_id}.{number}", traceparent) for number in (1, 2, 3)))


class _FireAndForget:
    _tasks = set()

    async def __call__(self, request_id, traceparent):
        task = asyncio.create_task(_later(request_id + ".1", traceparent))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _BackgroundExporter:
    """Exports every 20 ms, as long as there were requests lately."""

    _exporter = None
    _last = 0.0

    async def __call__(self, request_id, traceparent):
        self._last = time.monotonic()
        if self._exporter is None:
            self._exporter = asyncio.create_task(self._export())
        await _call(request_id + ".1", traceparent)

    async def _export(self):
        number = 0
        while True:
            await asyncio.sleep(0.02)
            if time.monotonic() - self._last < 0.1:
                number += 1
                await _call(f"-.{number}")


async def _timeout_retry(request_id, traceparent):
    try:
        await asyncio.wait_for(_call(request_id + ".1", traceparent, "/slow"), 0.2)
    except asyncio.TimeoutError:
        pass
    await _call(request_id + ".2", traceparent)


async def _to_thread(request_id, _):
    await asyncio.to_thread(_call_blocking, request_id + ".1")


class _RunInExecutor:
    _executor = concurrent.futures.ThreadPoolExecutor(16)

    async def __call__(self, request_id, _):
        await asyncio.get_running_loop().run_in_executor(self._executor, _call_blocking, request_id + ".1")


class _Queue:
    _queue = _workers = None

    def start(self):
        self._queue = asyncio.Queue()
        self._workers = [asyncio.create_task(self._work()) for _ in range(16)]

    async def __call__(self, request_id, traceparent):
        made = asyncio.get_running_loop().create_future()
        await self._queue.put((request_id, traceparent, made))
        await made

    async def _work(self):
        while True:
            request_id, traceparent, made = await self._queue.get()
            await _later(request_id + ".1", traceparent)
            made.set_result(None)


_queue = _Queue()
_PATTERNS = {
    "/": _direct,
    "/task": _task,
    "/gather": _gather,
    "/fire-and-forget": _FireAndForget(),
    "/background-exporter": _BackgroundExporter(),
    "/timeout-retry": _timeout_retry,
    "/to-thread": _to_thread,
    "/run-in-executor": _RunInExecutor(),
    "/queue": _queue,
}


# asyncio of older versions does not hold on to the tasks of its servers: they are lost when garbage is collected.
_serving = set()


async def _serve(reader, writer):
    _serving.add(asyncio.current_task())
    while (message := await _read_message(reader)) is not None:
        exchange_id = message[1].get("x-truth", "")
        truth.seen_in(exchange_id, writer.get_extra_info("socket"))
        await asyncio.sleep(random.uniform(0, 0.02))
        await _PATTERNS[message[0].split(" ")[1]](exchange_id, message[1].get("traceparent"))
        await asyncio.sleep(random.uniform(0, 0.02))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n")
        await writer.drain()
    writer.close()
    _serving.discard(asyncio.current_task())


async def _main():
    random.seed(int(os.environ.get("SEED", 1)))
    _queue.start()
    host, port = sys.argv[1].rsplit(":", 1)
    server = await asyncio.start_server(_serve, host, int(port), backlog=1024)
    await server.serve_forever()


if os.environ.get("LOOP") == "uvloop":
    import uvloop

    uvloop.install()
asyncio.run(_main())
