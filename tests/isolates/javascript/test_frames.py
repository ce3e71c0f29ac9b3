"""Requests and calls that the engine takes apart and those that the guest parses are the same; texts go out as bytes
do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Run

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


CALLED = """
import { WorkerEntrypoint } from "cloudflare:workers";
const seen = (of, args) => [of, ...args];
class Base extends WorkerEntrypoint {
  base() { return seen("base", arguments); }
}
export class Named extends Base { echo() { return seen("named", arguments); } }
export const object = { echo: (given) => seen("object", [given]), fetch() {} };
export default class extends Base {
  own = 1;
  echo() { return seen("default", arguments); }
  async later() { await null; return seen("later", arguments); }
  thrown(message) { throw new RangeError(message); }
  _hidden() {}
  fetch() { return new Response("fetched"); }
}
"""


def begin(
    driver: Driver, method: str, frame: bytes, entrypoint: str | None = None, props: object = None
) -> Run:
    run = driver._new_run()
    driver.events.rpc(run.number, entrypoint, props, method, frame)
    return run


def told(run: Run) -> tuple[object, ...]:
    failure = run.failure
    # A stack names the guest's own functions, which differ.
    return run.returned, run.done, failure and (failure.reason, failure.type_name, failure.message)


def arguments(*positional: object, **named: object) -> bytes:
    return wire.dump_value([list(positional), named])


def text_frame(text: str) -> bytes:
    return wire.alone(text)


@pytest.mark.parametrize(
    "frame",
    [
        arguments(),
        arguments(1),
        arguments(-1, 0.5, 1e300, 2**53 - 1, None, True, False),
        arguments("", "text", 'a "quoted" \\ text', "line\nline", "\0"),
        arguments("\xe9\u20ac\U0001f600"),
        arguments([], {}, [[1, [2]], {"a": {"b": [None]}}]),
        arguments({"__proto__": 1, "constructor": 2, "toJSON": 3, "length": 4}),
        arguments({"$": 1}, b"bytes", 2**60, float("nan"), {1: 2}),
        arguments("$"),
        arguments(1, named=2),
        arguments("x" * 4000),
        arguments("x" * 5000),
        arguments(*range(1000)),
        text_frame("[[1],{}],[[2],{}]"),
        text_frame("[[1],{}],[[[2],{}]"),
        text_frame('[[1],{"a":1}],[[2],{}]'),
        text_frame("[[1,],{}]"),
        text_frame("[[\0],{}]"),
        text_frame('[["\\ud800"],{}]'),
        text_frame("[[],[],{}]"),
        text_frame("[[1]],{}]"),
        b"\x0e\0\0\0[[],[[\xff\xff],{}]]",
    ],
)
@pytest.mark.parametrize("entrypoint", [None, "Named", "object"])
def test_a_call(start: Callable[..., Driver], frame: bytes, entrypoint: str | None) -> None:
    driver = start({"w.js": CALLED})
    runs = [begin(driver, "echo", frame, entrypoint, props) for props in (None, {})]
    driver.settle()
    for props in ({}, {"a": 1}):  # alone it is a short frame, if it can be one
        runs.append(begin(driver, "echo", frame, entrypoint, props))
        driver.settle()
    assert told(runs[0]) == told(runs[1]) == told(runs[2]) == told(runs[3])


def test_no_arguments_end_an_isolate(start: Callable[..., Driver]) -> None:
    """They are somebody else's: what the host hands over as a short frame, the engine reads."""
    driver = start({"w.js": CALLED})
    frame = arguments(1, {"a": "text"}, [None])
    for place in range(len(frame)):
        for byte in (*b'\0"$[]{,\\\xff', frame[place] ^ 1):
            run = begin(driver, "echo", frame[:place] + bytes([byte]) + frame[place + 1 :], None, {})
            driver.step()
            assert run.done
            assert (run.returned is None) is (run.failure is not None)


@pytest.mark.parametrize("entrypoint", [None, "Named", "object", "missing"])
@pytest.mark.parametrize(
    "method",
    ["echo", "base", "later", "thrown", "_hidden", "own", "fetch", "toString", "missing", "", "a\xe9"],
)
def test_methods(start: Callable[..., Driver], method: str, entrypoint: str | None) -> None:
    driver = start({"w.js": CALLED})
    frame = arguments("one")
    runs = [begin(driver, method, frame, entrypoint, props) for props in (None, {})]
    driver.settle()
    for props in ({}, {"a": 1}):  # alone it is a short frame, if it can be one
        runs.append(begin(driver, method, frame, entrypoint, props))
        driver.settle()
    assert told(runs[0]) == told(runs[1]) == told(runs[2]) == told(runs[3])


def test_calls_and_requests_of_one_step(start: Callable[..., Driver]) -> None:
    driver = start({"w.js": CALLED})
    driver.fetch(URL)
    runs = [begin(driver, "later" if n % 3 else "echo", arguments(n)) for n in range(20)]
    request = driver.begin(URL, props={})
    failing = begin(driver, "thrown", arguments("thrown"))
    last = begin(driver, "echo", arguments("x" * 100))
    driver.settle()
    assert [run.value for run in runs] == [["later" if n % 3 else "default", n] for n in range(20)]
    assert (request.text, last.value) == ("fetched", ["default", "x" * 100])
    assert failing.failure is not None
    assert failing.failure.message == "thrown"


PATCHED = """
import { WorkerEntrypoint } from "cloudflare:workers";
export default class extends WorkerEntrypoint {
  echo() { return [...arguments]; }
  one(value) { return value; }
  patch() {
    JSON.parse = () => "forged";
    Array.prototype.push = Array.prototype.join = String.prototype.concat = () => "forged";
    Array.prototype[Symbol.iterator] = function* () { yield "forged"; };
    Object.keys = Object.entries = () => ["forged"];
    Array.isArray = Object.hasOwn = Number.isSafeInteger = RegExp.prototype.test = Set.prototype.has = () => true;
    Reflect.apply = () => "forged";
    return "patched";
  }
}
"""


@pytest.mark.parametrize(
    "frame", [arguments(1), arguments("text", None), arguments(0.5), arguments({"a": [1]})]
)
@pytest.mark.parametrize("method", ["echo", "one"])
def test_what_a_program_puts_in_the_place_of_functions(
    start: Callable[..., Driver], method: str, frame: bytes
) -> None:
    driver = start({"w.js": PATCHED})
    assert driver.call("patch").value == "patched"
    runs = [begin(driver, method, frame, props={})]
    driver.settle()
    runs.append(begin(driver, method, frame, props={"a": 1}))
    driver.settle()
    assert told(runs[0]) == told(runs[1])
    assert runs[0].done
