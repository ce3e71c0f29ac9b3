from __future__ import annotations

import sys

import pytest
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.http_contestant import HttpContestant
from pyworkerd_bench.processes import Server

SERVER = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200 if self.path in ("/", "/fresh") else 404)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")


server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
print("port", server.server_port, flush=True)
server.serve_forever()
"""


class Simple(HttpContestant):
    """Python's own HTTP server: it answers, and that is all that is asked of it."""

    def spawn(self, cpu: int | None = None) -> Server:
        return Server([sys.executable, "-c", SERVER], r"port (\d+)", cpu=cpu)


def test_a_connection_that_has_gone_is_opened_anew_outside_the_clock() -> None:
    one = Simple()
    try:
        one.renew()
        assert one.fresh() > 0
        first = one._connection
        assert first is not None
        assert one.fresh() > 0
        assert one._connection is first
        first.close()
        assert one.fresh() > 0
        assert one._connection is not first
        with pytest.raises(BenchError, match="answered 404"):
            one.timed("/elsewhere")
        assert one.first_200() > 0
    finally:
        one.stop()
    with pytest.raises(BenchError, match="not running"):
        one.fresh()
