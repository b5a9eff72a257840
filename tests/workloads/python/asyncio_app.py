"""`asyncio_app.py TARGET BACKEND`: one event loop that serves overlapping requests with kept-alive connections on both
sides. Each request sleeps 0-20 ms, makes one call over whichever pooled connection is free, and sleeps again: by the
kernel's view any reading may be the cause of any call. With $FORWARD set it passes a `traceparent` on."""

import asyncio
import os
import random
import sys
import time

import truth

_pool = []


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


async def _call(backend, exchange_id, traceparent):
    start = time.time_ns()
    host, port = backend.rsplit(":", 1)
    reader, writer = _pool.pop() if _pool else await asyncio.open_connection(host, int(port))
    forwarded = f"traceparent: {traceparent}\r\n" if "FORWARD" in os.environ and traceparent else ""
    writer.write(f"GET /work HTTP/1.1\r\nhost: {backend}\r\nx-truth: {exchange_id}\r\n{forwarded}\r\n".encode())
    if await _read_message(reader) is None:
        raise ConnectionError("the backend closed the connection")
    truth.seen_out(exchange_id, truth.ends(writer.get_extra_info("socket")), start)
    _pool.append((reader, writer))


async def _serve(reader, writer):
    while (message := await _read_message(reader)) is not None:
        exchange_id = message[1].get("x-truth", "")
        truth.seen_in(exchange_id, writer.get_extra_info("socket"))
        await asyncio.sleep(random.uniform(0, 0.02))
        await _call(sys.argv[2], exchange_id + ".1", message[1].get("traceparent"))
        await asyncio.sleep(random.uniform(0, 0.02))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n")
        await writer.drain()
    writer.close()


async def _main():
    random.seed(1)
    host, port = sys.argv[1].rsplit(":", 1)
    server = await asyncio.start_server(_serve, host, int(port), backlog=1024)
    await server.serve_forever()


asyncio.run(_main())
