"""Calls of JavaScript workers that somebody stops waiting for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_isolates.protocol import Call, Fetch
from pyworkerd_isolates.testing import LATER, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver

WORKER = """
const forever = new AbortController();
export default {
  async fetch(request) {
    if (request.url.endsWith("/early")) {
      const signal = AbortSignal.abort("early");
      const all = Array.from({ length: 1200 }, () => fetch("http://shop.test/", { signal }));
      return Response.json([...new Set(await Promise.all(all.map((each) => each.catch((reason) => reason))))]);
    }
    const first = await (await fetch("http://shop.test/now", forever)).text();
    const second = fetch("http://shop.test/later", forever);
    setTimeout(() => forever.abort("enough"), 5);
    return Response.json([first, await second.catch((reason) => reason)]);
  },
};
"""


def answer(call: Call | Fetch) -> object:
    return LATER if isinstance(call, Fetch) and call.url.endswith("/later") else Reply(200, (), b"answered")


def test_an_aborted_signal_lets_no_call_begin(start: Callable[..., Driver]) -> None:
    driver = start({"w.js": WORKER}, answer=answer)
    assert driver.fetch("http://a/early").json == ["early"]
    assert driver.calls == {}


def test_aborting_ends_the_calls_that_wait(start: Callable[..., Driver]) -> None:
    driver = start({"w.js": WORKER}, answer=answer)
    assert driver.fetch("http://a/").json == ["answered", "enough"]
    assert driver.calls == {}
