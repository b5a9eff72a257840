"""`fastapi_app.py TARGET BACKEND`: FastAPI under uvicorn, calling through one httpx client. The path names its pool:

/           as many connections as there are calls
/pool-wait  four connections: calls wait for them
"""

import asyncio
import sys

import fastapi
import httpx
import uvicorn

import times

_app = fastapi.FastAPI()
_timeout = httpx.Timeout(60)
_wide = httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=_timeout)
_narrow = httpx.AsyncClient(limits=httpx.Limits(max_connections=4, max_keepalive_connections=4), timeout=_timeout)


async def _call(client, truth):
    await asyncio.sleep(times.draw())
    await client.get(f"http://{sys.argv[2]}/work", headers={"x-truth": truth + ".1"})
    return {}


@_app.get("/")
async def _direct(x_truth: str = fastapi.Header()):
    return await _call(_wide, x_truth)


@_app.get("/pool-wait")
async def _pool_wait(x_truth: str = fastapi.Header()):
    return await _call(_narrow, x_truth)


_host, _port = sys.argv[1].rsplit(":", 1)
uvicorn.run(_app, host=_host, port=int(_port), loop="asyncio", http="h11", log_level="warning", access_log=False, backlog=1024)
