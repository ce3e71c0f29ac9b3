"""Servers in a few lines, in processes of their own: what the clients under test talk to."""

from __future__ import annotations

import sys
from textwrap import indent

from pyworkerd_bench.processes import Server

PROGRAM = """
import asyncio
held = []
async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\\r\\n\\r\\n"):
            method, path, *_ = head.split()
{answer}
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
SHAPED = """
status, body = (b"200 OK" if path == b"/a" else b"404 Not Found"), b"a"
if method == b"POST":
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    body = await reader.readexactly(length)
    status, body = b"200 OK", body if b"text/plain" in head else b"{"
writer.write(b"HTTP/1.1 %s\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (status, len(body), body))
"""
"""`/a` is "a", nothing else is there, and what is posted as text comes back."""


def server(answer: str, cpu: int | None = None) -> Server:
    """A server that does this for each request, of which it knows the `method`, the `path` and the whole `head`."""
    program = PROGRAM.replace("{answer}", indent(answer, " " * 12))
    return Server([sys.executable, "-c", program], r"port (\d+)", cpu=cpu)
