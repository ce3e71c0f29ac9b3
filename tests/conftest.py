"""What every test may ask for. The engine is built once per machine, in $PYWORKERD_HOME or the user's own cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyworkerd_isolates.cache import Cache
    from pyworkerd_isolates.engine import Engine
    from pyworkerd_isolates.native import Machine
    from pyworkerd_isolates.testing import Driver, Sandbox

settings.register_profile(
    "pyworkerd",
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("pyworkerd")


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Machine, cache and engine."""
    from pyworkerd_isolates.testing import Sandbox  # noqa: PLC0415 (most tests do without)

    with Sandbox() as opened:
        yield opened


@pytest.fixture(scope="session")
def machine(sandbox: Sandbox) -> Machine:
    """Settings and clock of all isolates."""
    return sandbox.machine


@pytest.fixture(scope="session")
def cache(sandbox: Sandbox) -> Cache:
    """The machine's own cache."""
    return sandbox.cache


@pytest.fixture(scope="session")
def engine(sandbox: Sandbox) -> Engine:
    """The Python engine."""
    return sandbox.engine


@pytest.fixture
def start(sandbox: Sandbox) -> Iterator[Callable[..., Driver]]:
    """`Sandbox.start` with time enough for a busy machine; what it started is ended with the test."""
    started: list[Driver] = []

    def begin(*arguments: object, **options: object) -> Driver:
        driver = sandbox.start(*arguments, **{"cpu_ms": 5000, "startup_ms": 10_000, **options})  # type: ignore[arg-type]
        started.append(driver)
        return driver

    yield begin
    for driver in started:
        driver.end()
