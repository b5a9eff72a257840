"""`gevent_app.py TARGET BACKEND`: gevent's WSGI server, a greenlet a connection. The path names the greenlet that calls:

/direct  the connection's
/spawn   one that is spawned for the call, and joined
/pool    one of a pool of 16
"""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402

import calls  # noqa: E402
import gevent  # noqa: E402
import gevent.pool  # noqa: E402
import gevent.pywsgi  # noqa: E402
import times  # noqa: E402

_pool = gevent.pool.Pool(16)
_idle = []


def _call(exchange_id):
    times.serve()
    caller = _idle.pop() if _idle else calls.Caller(sys.argv[2])
    caller.call(exchange_id)
    _idle.append(caller)


_PATTERNS = {
    "/direct": _call,
    "/spawn": lambda exchange_id: gevent.spawn(_call, exchange_id).get(),
    "/pool": lambda exchange_id: _pool.spawn(_call, exchange_id).get(),
}


def _app(environ, start_response):
    _PATTERNS[environ["PATH_INFO"]](environ["HTTP_X_TRUTH"] + ".1")
    start_response("200 OK", [("content-length", "3")])
    return [b"ok\n"]


_host, _port = sys.argv[1].rsplit(":", 1)
gevent.pywsgi.WSGIServer((_host, int(_port)), _app, log=None, backlog=1024).serve_forever()
