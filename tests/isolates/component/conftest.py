"""Small programs are compiled in the tests' own process, and kept in a cache of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.bundle import Bundle
from pyworkerd_isolates.cache import Cache
from pyworkerd_isolates.component import compiler
from pyworkerd_isolates.component.image import build_program
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.native import Machine
from pyworkerd_isolates.testing import Driver

from tests.isolates.component.programs import Clocked, compiled_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyworkerd_isolates.component.image import ProgramImage


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bytes], ProgramImage]]:
    """Makes images of programs."""
    machine = Machine()
    cache = Cache(tmp_path_factory.mktemp("programs"))
    images: dict[bytes, ProgramImage] = {}

    def image(binary: bytes) -> ProgramImage:
        if binary not in images:
            images[binary] = build_program(machine, cache, Bundle.of({"p.wasm": binary}))
        return images[binary]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "compiled", compiled_here)
        yield image
    for each in images.values():
        each.close()
    machine.close()


@pytest.fixture
def start(programs: Callable[[bytes], ProgramImage]) -> Iterator[Callable[..., Driver]]:
    """Starts isolates of programs, each with a driver."""
    drivers: list[Driver] = []

    def begin(binary: bytes, slots=None, bindings=(), meta=None, answer=None, **limits) -> Driver:
        isolate = Clocked(programs(binary), Limits(**limits), slots)
        drivers.append(Driver(isolate, bindings, {"log_bytes": 10_000, **(meta or {})}, answer))
        return drivers[-1]

    yield begin
    for driver in drivers:
        driver.end()
