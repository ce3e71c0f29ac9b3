"""The API over a real address, asked by schemathesis for whatever its document allows, and for what it does not."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from pyworkerd.admin.openapi import document
from pyworkerd.admin.site import Site
from pyworkerd.admin.table import ROUTES
from pyworkerd.admin.tokens import Token, TokenFile, digest_of
from pyworkerd.server import bind
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.runtime.admin.test_routes import Fixed

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "token-of-the-test"
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]


@contextmanager
def site() -> Iterator[str]:
    """A real admin address on a thread of its own."""
    listener = bind("127.0.0.1:0")
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def main() -> None:
        served = Site(Fixed(1), tokens=TokenFile(None, (Token("test", digest_of(TOKEN)),)))
        await served.start(listener)
        await ended.wait()
        await served.aclose()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    try:
        yield f"http://{listener.address}"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with site() as found:
        yield found


schema = schemathesis.openapi.from_dict(document(ROUTES, "1")).exclude(path="/api/v1/logs/stream")
"""Without what has no end: that is `test_logs`'s."""


@schema.parametrize()
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_document_is_true(case: Any, address: str) -> None:
    case.call_and_validate(base_url=address, headers={"authorization": f"Bearer {TOKEN}"}, checks=CHECKS)
