"""Requests that the engine takes apart and those that the guest parses are the same; texts go out as bytes do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver

WORKER = """
import { WorkerEntrypoint } from "cloudflare:workers";
const seen = (request, ctx) => Response.json([
  request.method, request.url, [...request.headers], request.body === null, ctx.props,
]);
let count = 0;
export class Named extends WorkerEntrypoint { fetch(request) { return seen(request, this.ctx); } }
export default {
  fetch(request, env, ctx) {
    count += 1;
    if (request.headers.has("x-throw")) throw new Error("thrown");
    if (request.headers.has("x-text")) {
      const text = decodeURIComponent(request.headers.get("x-text")).repeat(Number(request.headers.get("x-times")));
      return new Response(text);
    }
    ctx.props.mine = count;
    return seen(request, { props: Object.keys(ctx.props) });
  },
};
"""
HOST = ("host", "x")
URL = "http://x/"


@pytest.mark.parametrize(
    ("method", "url", "headers"),
    [
        ("GET", URL, ()),
        ("GET", URL, (HOST,)),
        ("DELETE", "http://x/a?b=[c]&d={e},null]#", (HOST, ("x-a", "],[[null]],"), ("x-b", ""))),
        (
            "PATCH",
            "http://x/%22%5C",
            (HOST, ("x-long", "a" * 1000), *((f"x-{n}", str(n)) for n in range(50))),
        ),
        ("GET", URL, (("x-quote", 'say "so"'), ("x-slash", "a\\b\\\\c"))),
        ("GET", URL, (("x-latin", "\xe9\xff"), ("x-tab", "a\tb"))),
        ("GET", URL, (("x-twice", "a"), ("x-twice", "b"), ("set-cookie", "a=b"), ("set-cookie", "c"))),
    ],
)
def test_a_request(
    start: Callable[..., Driver], method: str, url: str, headers: tuple[tuple[str, str], ...]
) -> None:
    driver = start({"w.js": WORKER})
    driver.fetch(url)
    apart, parsed = (
        driver.fetch(url, method=method, headers=headers, props=props).json for props in ({}, None)
    )
    assert apart == parsed
    assert (apart[0], apart[1], apart[3:]) == (method, url, [True, ["mine"]])
    joined = {name: ", ".join(value for key, value in headers if key == name) for name, _ in headers}
    assert {name: value for name, value in apart[2] if name != "set-cookie"} == {
        name: value for name, value in joined.items() if name != "set-cookie"
    }
    named = driver.fetch(url, method=method, headers=headers, entrypoint="Named", props={"a": 1}).json
    assert (named[:3], named[4]) == (apart[:3], {"a": 1})


def test_several_requests_of_one_step(start: Callable[..., Driver]) -> None:
    driver = start({"w.js": WORKER})
    driver.fetch(URL)
    runs = [driver.begin(f"{URL}{n}", headers=(HOST, ("x-n", str(n))), props={}) for n in range(20)]
    failing = driver.begin(URL, headers=(("x-throw", "1"),), props={})
    driver.settle()
    quoted = [driver.begin(URL, headers=(("x-n", n),), props={}) for n in ("1", '"')]
    driver.settle()
    assert [run.json[1] for run in runs] == [f"{URL}{n}" for n in range(20)]
    assert [dict(run.json[2])["x-n"] for run in (*runs, *quoted)] == [*map(str, range(20)), "1", '"']
    assert failing.failure is not None
    assert failing.failure.message == "thrown"


@pytest.mark.parametrize(
    ("text", "times", "body"),
    [
        ("", 1, b""),
        ("a", 4096, b"a" * 4096),
        ("a", 4097, b"a" * 4097),
        ("%E2%82%AC", 4096, "\u20ac".encode() * 4096),
        ("%F0%9F%98%80", 3, "\U0001f600".encode() * 3),
    ],
)
def test_texts_go_out_as_bytes(start: Callable[..., Driver], text: str, times: int, body: bytes) -> None:
    driver = start({"w.js": WORKER})
    driver.fetch(URL)
    asked = (("x-text", text), ("x-times", str(times)))
    runs = [driver.begin(URL, headers=headers, props={}) for headers in (asked, (), asked)]
    driver.settle()
    assert [bytes(run.body) for run in (runs[0], runs[2])] == [body, body]
    assert runs[1].json[:2] == ["GET", URL]


@pytest.mark.parametrize("props", [None, {}])
def test_bindings_that_cannot_be_made(start: Callable[..., Driver], props: object) -> None:
    driver = start({"w.js": WORKER}, bindings=[("ODD", "no such kind", 1)])
    driver.begin(URL, props=props)
    with pytest.raises(
        ProtocolError, match="the binding ODD is of a kind that JavaScript workers cannot use"
    ):
        driver.settle()


@pytest.mark.parametrize("props", [None, {}])
def test_bindings_of_a_first_step(start: Callable[..., Driver], props: object) -> None:
    source = "export default { fetch: (request, env) => Response.json([Object.keys(env), request.url]) };"
    driver = start({"w.js": source}, bindings=[("A", "fetcher", 1), ("B", "fetcher", 2)])
    assert [driver.fetch(URL, props=props).json for _ in range(2)] == [[["A", "B"], URL]] * 2
