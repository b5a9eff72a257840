"""`aiohttp_app.py TARGET BACKEND`: aiohttp on both sides. The path names what a request does:

/     calls, and answers
/sse  calls, sends an event, calls again and sends another one, whether or not somebody still listens
"""

import asyncio
import sys

import aiohttp
from aiohttp import web

import times

_BACKEND = sys.argv[2]
_SESSION = web.AppKey("session", aiohttp.ClientSession)


async def _call(request, part):
    await asyncio.sleep(times.draw())
    headers = {"x-truth": f"{request.headers['x-truth']}.{part}"}
    async with request.app[_SESSION].get(f"http://{_BACKEND}/work", headers=headers) as answer:
        await answer.read()


async def _direct(request):
    await _call(request, 1)
    return web.Response(text="ok\n")


async def _sse(request):
    await _call(request, 1)
    answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await answer.prepare(request)
    await answer.write(b"data: one\n\n")
    await _call(request, 2)
    try:
        await answer.write(b"data: two\n\n")
    except ConnectionError:
        pass
    return answer


async def _session(app):
    app[_SESSION] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    yield
    await app[_SESSION].close()


_app = web.Application()
_app.cleanup_ctx.append(_session)
_app.add_routes([web.get("/", _direct), web.get("/sse", _sse)])
_host, _port = sys.argv[1].rsplit(":", 1)
web.run_app(_app, host=_host, port=int(_port), print=None, access_log=None, backlog=1024)
