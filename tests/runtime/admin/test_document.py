"""The API of a real server, asked by schemathesis for whatever its document allows, and for what it does not."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from pyworkerd.admin.openapi import document
from pyworkerd.admin.table import ROUTES
from pyworkerd.admin.tokens import VARIABLE
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.runtime.cli.command import project, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "a-token-that-nobody-guesses"
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    config = project(tmp_path_factory.mktemp("document"))
    with serve(config, "--admin=127.0.0.1:0", **{VARIABLE: TOKEN}) as served:
        yield served.errors.until("admin: ").removeprefix("admin: ")
        served.stop(signal.SIGTERM)


@schemathesis.serializer("application/gzip")
def as_it_is(_: object, value: object) -> bytes:
    """Whatever was generated; that it is an archive, others test."""
    return value if isinstance(value, bytes) else str(value).encode()


schema = schemathesis.openapi.from_dict(document(ROUTES, "1")).exclude(path="/api/v1/logs/stream")
"""Without what has no end: that is `test_logs`'s."""


@schema.parametrize()
@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_document_is_true(case: Any, address: str) -> None:
    if "service" in (case.path_parameters or {}):
        case.path_parameters["service"] = "w"  # no generator finds a name that is there
    case.call_and_validate(base_url=address, headers={"authorization": f"Bearer {TOKEN}"}, checks=CHECKS)
