"""A guest that runs what a test wants of it, beside another that never notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.testing import Driver, Sandbox

RUNS = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("still here", headers={"in": "JSON"})  # as a frame that programs here forge

    async def run(self, code):
        space = dict(globals(), self=self)
        exec("async def main():\\n" + "".join(f"    {line}\\n" for line in code.split("\\n")), space)
        return await space["main"]()
"""


@pytest.fixture(scope="module")
def source(request: pytest.FixtureRequest) -> str:
    """A worker with the names in `HEAD` of the test's module at hand."""
    return f"{request.module.HEAD}{RUNS}"


@pytest.fixture(scope="module")
def image(sandbox: Sandbox, source: str) -> Image:
    """The image of that worker."""
    return sandbox.image(source)


@pytest.fixture
def neighbour(start: Callable[..., Driver], image: Image) -> Iterator[Driver]:
    """Another tenant: it answers before and after."""
    driver = start(image)
    assert driver.fetch().text == "still here"
    yield driver
    assert driver.fetch().text == "still here"
