"""Calls of JavaScript workers that somebody stops waiting for, and those that the host would refuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
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


REFUSED = """
export default {
  async fetch(request, env) {
    const [source] = await request.json();
    try {
      return await Function("env", `return (async () => ${source})()`)(env);
    } catch (error) {
      return new Response(`${error.name}: ${error.message}`);
    }
  },
};
"""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("fetch('http://a/', { headers: { x: 'a\\u0001b' } })", "the header x cannot be sent"),
        ("fetch('http://a/', { headers: { x: 'a\\u007fb' } })", "the header x cannot be sent"),
        ("fetch('mailto:one two')", "a URL with a space"),
        ("env.SERVICE['\\ud800']()", "half a surrogate pair"),
        ("env.SERVICE.fetch('x:a b')", "a URL with a space"),
    ],
)
def test_what_the_host_would_refuse_the_caller_hears(
    start: Callable[..., Driver], source: str, message: str
) -> None:
    driver = start({"w.js": REFUSED}, answer=answer, bindings=[("SERVICE", "fetcher", 1)])
    assert message in driver.fetch(method="POST", body=json.dumps([source]).encode()).text
    ordinary = "fetch('http://a/\u00e4?\ud800', { headers: { x: 'a\tb\u00e4' } })"
    assert driver.fetch(method="POST", body=json.dumps([ordinary]).encode()).text == "answered"


@pytest.mark.parametrize("source", ["new Response('x', { headers: { x: 'a\\u001bb' } })", "Response.error()"])
def test_an_answer_that_cannot_be_sent_is_its_invocations_failure(
    start: Callable[..., Driver], source: str
) -> None:
    driver = start({"w.js": REFUSED}, answer=answer)
    failure = driver.fetch(method="POST", body=json.dumps([source]).encode()).failure
    assert failure is not None
    assert (failure.type_name, "cannot be sent" in failure.message) == ("TypeError", True)
    assert driver.fetch(method="POST", body=b'["new Response(1)"]').text == "1"


ABORTED = """
async function outcome(promise) {
  try { return await promise; } catch (error) { return `${error?.name ?? error}`; }
}
export default {
  async fetch(request) {
    const controller = new AbortController();
    const { signal } = controller;
    const [first, second, third] = await Promise.all([1, 2, 3].map((n) => fetch(`http://a/${n}`, { signal })));
    if (request.url.endsWith("/on")) return second;
    const reader = first.body.getReader();
    const begun = (await reader.read()).value.length;
    controller.abort();
    const next = await outcome(reader.read());
    const used = [await outcome(second.text()), await outcome(second.text()), await outcome(third.arrayBuffer())];
    return Response.json([begun, next, ...used]);
  },
};
"""


def test_aborting_ends_the_bodies_that_came(start: Callable[..., Driver]) -> None:
    def answer(call: Call | Fetch) -> object:
        assert isinstance(call, Fetch)
        return Reply(200, (), [b"abc"] * 3 if call.url.endswith("1") else b"whole")

    driver = start({"w.js": ABORTED}, answer=answer)
    assert driver.fetch("http://a/").json == [3, *["AbortError"] * 4]
    assert driver.fetch("http://a/on").text == "whole"


def test_data_urls_need_nobody(start: Callable[..., Driver]) -> None:
    source = """
    export default { async fetch() {
      const response = await fetch("data:text/html;charset=utf-8;base64,YQ==#x");
      const head = await fetch("data:,x", { method: "HEAD" });
      const wrong = await fetch("data:none").catch(({ name }) => name);
      return Response.json([response.status, response.headers.get("content-type"), await response.text(),
        head.body, wrong, response.url]);
    } };
    """
    driver = start({"w.js": source}, answer=lambda call: pytest.fail(f"it asked {call}"))
    assert driver.fetch("http://a/").json == [
        200,
        "text/html;charset=utf-8",
        "a",
        None,
        "TypeError",
        "data:text/html;charset=utf-8;base64,YQ==",
    ]
