"""`fastapi_app.py TARGET BACKEND`: FastAPI under uvicorn, calling through one httpx client. The path names its pool, or the answer:

/           as many connections as there are calls
/pool-wait  four connections: calls wait for them
/sse        server-sent events, with a call before the first one and another before the last one
"""

import asyncio
import sys

import fastapi
import fastapi.responses
import httpx
import uvicorn

import times

_app = fastapi.FastAPI()
_timeout = httpx.Timeout(60)
_wide = httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=_timeout)
_narrow = httpx.AsyncClient(limits=httpx.Limits(max_connections=4, max_keepalive_connections=4), timeout=_timeout)


async def _call(client, truth, number=1):
    await asyncio.sleep(times.draw())
    await client.get(f"http://{sys.argv[2]}/work", headers={"x-truth": f"{truth}.{number}"})
    return {}


@_app.get("/")
async def _direct(x_truth: str = fastapi.Header()):
    return await _call(_wide, x_truth)


@_app.get("/pool-wait")
async def _pool_wait(x_truth: str = fastapi.Header()):
    return await _call(_narrow, x_truth)


@_app.get("/sse")
async def _events(x_truth: str = fastapi.Header()):
    async def events():
        for number in (1, 2):
            await _call(_wide, x_truth, number)
            yield f"data: {number}\n\n"

    return fastapi.responses.StreamingResponse(events(), media_type="text/event-stream")


_host, _port = sys.argv[1].rsplit(":", 1)
uvicorn.run(_app, host=_host, port=int(_port), loop="asyncio", http="h11", log_level="warning", access_log=False, backlog=1024)
