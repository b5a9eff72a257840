"""The end of a chain: `backend.py TARGET` answers everything; `/big/BYTES` with a body of that size, a POST with its length.
A GET takes a service time (times.py), of /slow half a second more."""

import sys
import time

import serving
import times
import truth


class Backend(serving.Handler):
    def do_GET(self):
        truth.seen_in(self.headers.get("x-truth"), self.connection)
        times.serve()
        if self.path == "/slow":
            time.sleep(0.5)
        if self.path.startswith("/big/"):
            self.answer(b"b" * int(self.path.rsplit("/", 1)[1].split("?")[0]))
        else:
            self.answer(b"backend\n")

    def do_POST(self):
        truth.seen_in(self.headers.get("x-truth"), self.connection)
        left = int(self.headers["content-length"])
        while left > 0:
            left -= len(self.rfile.read1(min(left, 65536)))
        self.answer(b"%s bytes\n" % self.headers["content-length"].encode())


if __name__ == "__main__":
    serving.serve(sys.argv[1], Backend)
