"""A component in Python: how often each page was asked for, kept in a key-value store."""

import os

from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports import store
from wit_world.imports.types import Fields, OutgoingBody, OutgoingResponse, ResponseOutparam


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request, response_out):
        page = request.path_with_query() or "/"
        visits = store.open("VISITS")
        count = int(visits.get(page) or b"0") + 1
        visits.set(page, str(count).encode())
        print(f"{page} was asked for")
        respond(response_out, f"{os.environ['GREETING']}, {page} was asked for {count} times\n")


def respond(response_out, text):
    response = OutgoingResponse(Fields.from_list([("content-type", b"text/plain; charset=utf-8")]))
    body = response.body()
    ResponseOutparam.set(response_out, Ok(response))
    with body.write() as stream:
        stream.blocking_write_and_flush(text.encode())
    OutgoingBody.finish(body, None)
