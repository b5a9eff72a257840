"""`service.py PORT BACKEND [SINK]`: an ASGI application under uvicorn that makes one httpx call to http://BACKEND/ for each
request. With SINK, the OpenTelemetry SDK tells of both, as its documentation has it, to http://SINK/v1/traces.

Its own loop and parser: uvicorn takes faster ones where they are installed.
"""

import sys

import httpx
import uvicorn

_ANSWER = b"x" * 1024


class Service:
    """Calls, and answers 1 KiB."""

    def __init__(self, backend):
        self._url = f"http://{backend}/"
        # A few connections for all requests, all of them kept. For each request httpx looks at every idle one (a system call and
        # some 50 us), so with one for each of 64 clients a request takes 8 ms, and nothing else can be seen beside that; and by
        # itself it drops what was idle for 5 s, so who is measured after a pause would pay for new ones.
        limits = httpx.Limits(max_connections=8, max_keepalive_connections=8, keepalive_expiry=None)
        self._client = httpx.AsyncClient(limits=limits)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        (await self._client.get(self._url)).raise_for_status()
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(_ANSWER))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": _ANSWER})


def _told(backend, sink):
    """The service with the SDK around it: every request sampled, all limits and intervals as they are."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    provider = TracerProvider(sampler=ALWAYS_ON)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"http://{sink}/v1/traces")))
    trace.set_tracer_provider(provider)
    HTTPXClientInstrumentor().instrument()
    return OpenTelemetryMiddleware(Service(backend))


_port, _backend, *_sink = sys.argv[1:]
_app = _told(_backend, *_sink) if _sink else Service(_backend)
uvicorn.run(_app, host="127.0.0.1", port=int(_port), lifespan="off", log_level="warning", access_log=False, backlog=1024)
