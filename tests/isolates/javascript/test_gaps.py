"""What an isolate makes lies together; what a top level has left free is not lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.pages import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Sandbox

HELLO = 'export default { fetch() { return new Response("hello"); } };'
LITTERING = """
let kept = [];
{
  const made = [];
  for (let i = 0; i < 60000; i++) made.push("x".repeat(100) + i);
  kept = made.filter((_, place) => place % 2 === 0);
}
export default { fetch() {
  const more = [];
  for (let i = 0; i < 10000; i++) more.push("y".repeat(100) + i);
  return new Response(String(more.length + kept.length));
} };
"""


@pytest.mark.parametrize("async_", ["", "async "])
def test_a_first_step_writes_to_few_pages(sandbox: Sandbox, async_: str) -> None:
    image = sandbox.image({"w.js": HELLO.replace("fetch()", f"{async_}fetch()")}, "w.js")
    with sandbox.start(image) as worker:
        assert worker.fetch(props={}).text == "hello"
        written = sum(end - start for start, end in worker.isolate._live().written() or ())
        written -= (
            worker.isolate.trim()
        )  # what isolates of other images have made hot, and this one has not written to
    assert written // PAGE < 20


def test_many_gaps_stay_free(start: Callable[..., Driver]) -> None:
    worker = start({"w.js": LITTERING})
    before = len(worker.isolate.memory())
    assert worker.fetch().text == "40000"
    assert len(worker.isolate.memory()) - before < 512 << 10
