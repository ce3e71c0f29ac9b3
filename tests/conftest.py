"""What every test may ask for. The engine is built once per machine, in $PYWORKERD_HOME or the user's own cache."""

from __future__ import annotations

import gc
import os
import signal
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyworkerd_isolates.cache import Cache
    from pyworkerd_isolates.engine import Engine
    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.images import Images
    from pyworkerd_isolates.native import Machine
    from pyworkerd_isolates.testing import Driver, Sandbox

settings.register_profile(
    "pyworkerd",
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("pyworkerd")

BYTECODE = Path(__file__).parents[1] / "build" / "tests" / "bytecode"


def pytest_configure() -> None:
    """Let the servers that tests start keep their bytecode, as every installation does, and hear of SIGINT.

    Build machines often forbid the first, and then each of some hundred processes compiles all sources again. It goes
    into the build folder, not beside the sources. What a shell runs in the background ignores SIGINT, and so does all
    that it starts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
        os.environ["PYTHONPYCACHEPREFIX"] = str(BYTECODE)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was collected stays to the end: the garbage collector, which many tests call, need not look at it again."""
    if len({item.nodeid for item in session.items}) != len(session.items):
        raise pytest.UsageError(
            "two tests have the same id: where they are handed out, one of them would be lost"
        )
    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session")
def images(sandbox: Sandbox) -> Iterator[Images]:
    """Images of sources that more than one test uses are mapped once, as in a server."""
    from pyworkerd_isolates.images import Images  # noqa: PLC0415 (most tests do without)

    opened = Images(sandbox.engines, sandbox.cache)
    yield opened
    opened.close()


@pytest.fixture
def start(sandbox: Sandbox, images: Images) -> Iterator[Callable[..., Driver]]:
    """`Sandbox.start` with time enough for a busy machine; what it started is ended with the test."""
    from pyworkerd_isolates.image import Image  # noqa: PLC0415 (most tests do without)
    from pyworkerd_isolates.limits import Limits  # noqa: PLC0415
    from pyworkerd_isolates.testing import bundle_of  # noqa: PLC0415

    started: list[Driver] = []
    mapped: list[Image] = []
    names = {each.name for each in fields(Limits)}

    def begin(worker: Any, **options: Any) -> Driver:
        options = {"cpu_ms": 5000, "startup_ms": 10_000, **options}
        if not isinstance(worker, Image):
            limits = Limits(**{name: value for name, value in options.items() if name in names})
            worker = images.get(bundle_of(worker), limits)
            mapped.append(worker)
        driver = sandbox.start(worker, **options)
        started.append(driver)
        return driver

    yield begin
    for driver in started:
        driver.end()
    for image in mapped:
        images.release(image)
