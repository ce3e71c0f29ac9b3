"""The API of a real server, asked by schemathesis for whatever its document allows, and for what it does not."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, Any, cast

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
    from collections.abc import Callable, Iterator

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


def truth_of(method: str, path: str) -> Callable[[Any, str], None]:
    """The test of one operation, with a name of its own: pytest gives all that one function tests the same one."""

    @schema.include(method=method, path=path).parametrize()
    @settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def test(case: Any, address: str) -> None:
        if "service" in (case.path_parameters or {}):
            case.path_parameters["service"] = "w"  # no generator finds a name that is there
        case.call_and_validate(base_url=address, headers={"authorization": f"Bearer {TOKEN}"}, checks=CHECKS)

    return cast("Callable[[Any, str], None]", test)


for result in schema.get_all_operations():
    operation = result.ok()
    globals()[f"test_{re.sub(r'[^a-z]+', '_', operation.label.lower()).strip('_')}"] = truth_of(
        operation.method, operation.path
    )


def test_all_of_it_is_tested() -> None:
    assert sum(name.startswith("test_") for name in globals()) == 1 + len(list(schema.get_all_operations()))
