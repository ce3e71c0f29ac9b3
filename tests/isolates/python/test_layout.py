"""Where things lie in the heap of an image: hot code together, no gaps."""

from __future__ import annotations

import pytest

PROBE = """
from _pyworkerd import handlers, layout, outbox
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        hot = [id(f.__code__) for f in (handlers.on_fetch, handlers.on_init, outbox.take, handlers.start)]
        kept = [[bytes(size) for _ in range(20)] for size in (10, 40, 100, 300, 900, 3000, 9000)]
        return Response.json({
            "hot": hot,
            "gathered": len(layout._gathered),
            "new": [[id(block) for block in blocks] for blocks in kept],
            "fillers": [id(filler) for filling in layout._filling for filler in filling],
        })
"""


@pytest.fixture(scope="module")
def probed(sandbox):
    with sandbox.start(PROBE) as isolate:
        return isolate.fetch().json


def test_code_of_the_hot_path_lies_together(probed):
    hot = probed["hot"]
    assert probed["gathered"] > 20
    assert max(hot) - min(hot) < 256 * 1024


def test_new_objects_lie_above_all_else(probed):
    top = max(probed["fillers"])
    blocks = [address for addresses in probed["new"] for address in addresses]
    assert sum(address > top for address in blocks) > 0.9 * len(blocks)
    assert max(blocks) - min(address for address in blocks if address > top) < 2 * 1024 * 1024
