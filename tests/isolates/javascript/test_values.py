"""How values cross between JavaScript and everybody else: as what each type arrives, and that nothing is changed."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.testing import LATER
from pyworkerd_isolates.wire import RemoteError, WireError, encode, load_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Sandbox

WORKER = """
import { WorkerEntrypoint } from "cloudflare:workers";

const show = (value) => {
  if (value === null || typeof value !== "object") return [typeof value, String(value)];
  const kind = value.constructor.name;
  if (Array.isArray(value)) return [kind, value.map(show)];
  if (value instanceof Map) return [kind, [...value].map(([k, v]) => [show(k), show(v)])];
  if (value instanceof Set) return [kind, [...value].map(show)];
  if (value instanceof Date) return [kind, value.toISOString()];
  if (value instanceof Uint8Array) return [kind, [...value]];
  if (value instanceof Error) return [kind, `${value.name}: ${value.message}`];
  return [kind, Object.entries(value).map(([k, v]) => [k, show(v)])];
};

export default class extends WorkerEntrypoint {
  same(value) { return value; }
  show(value) { return show(value); }
  make(source) { return Function(`return (${source})`)(); }
}
"""


@pytest.fixture(scope="module")
def driver(sandbox: Sandbox) -> Any:
    with sandbox.start({"w.js": WORKER}, cpu_ms=10_000) as started:
        yield started


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()))
    | st.binary(max_size=40)
    | st.integers(-(10**12), 10**13).map(lambda ms: EPOCH + timedelta(milliseconds=ms)),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) and isinstance(other, int):
        return one == other  # JavaScript has one kind of numbers
    return type(one) is type(other) and one == other


@given(plain)
def test_what_goes_there_comes_back(driver: Driver, value: Any) -> None:
    assert equal(value, driver.call("same", value).value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ["object", "null"]),
        (True, ["boolean", "true"]),
        (5, ["number", "5"]),
        (2**53 - 1, ["number", str(2**53 - 1)]),
        (2**53 + 1, ["bigint", str(2**53 + 1)]),
        (-(2**70), ["bigint", str(-(2**70))]),
        (1.5, ["number", "1.5"]),
        (math.inf, ["number", "Infinity"]),
        (-math.inf, ["number", "-Infinity"]),
        (math.nan, ["number", "NaN"]),
        ("caf\u00e9 \U0001f600", ["string", "caf\u00e9 \U0001f600"]),
        (b"\0\xff", ["Uint8Array", [0, 255]]),
        (datetime(2026, 11, 26, 4, 5, 6, 7000, tzinfo=UTC), ["Date", "2026-11-26T04:05:06.007Z"]),
        ([1, "a"], ["Array", [["number", "1"], ["string", "a"]]]),
        ({"a": {"b": None}}, ["Object", [["a", ["Object", [["b", ["object", "null"]]]]]]]),
        ({"$": 1}, ["Object", [["$", ["number", "1"]]]]),
        ({"__proto__": 1}, ["Object", [["__proto__", ["number", "1"]]]]),
        ({1: "a"}, ["Map", [[["number", "1"], ["string", "a"]]]]),
        ({1, 2}, ["Set", [["number", "1"], ["number", "2"]]]),
        (ValueError("no"), ["Error", "ValueError: no"]),
        (TypeError("no"), ["TypeError", "TypeError: no"]),
    ],
)
def test_as_what_python_values_arrive(driver: Driver, value: Any, shown: list[Any]) -> None:
    assert driver.call("show", value).value == shown


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("undefined", None),
        ("null", None),
        ("0", 0),
        ("1e300", 1e300),
        ("Infinity", math.inf),
        ("10n", 10),
        ("-(2n ** 70n)", -(2**70)),
        ("'text'", "text"),
        ("new Uint8Array([1, 2])", b"\1\2"),
        ("new Uint8Array([1, 2]).buffer", b"\1\2"),
        ("new Uint16Array([258])", b"\2\1"),
        ("new DataView(new Uint8Array([1, 2, 3]).buffer, 1, 1)", b"\2"),
        ("new Date(5)", EPOCH + timedelta(milliseconds=5)),
        ("[1, , undefined]", [1, None, None]),
        ("{ a: 1, b: undefined, c: { $: [] } }", {"a": 1, "c": {"$": []}}),
        ("Object.create(null)", {}),
        ("new Map([['a', 1], [2, 'b']])", {"a": 1, 2: "b"}),
        ("new Set([1, 'a'])", {1, "a"}),
    ],
)
def test_as_what_javascript_values_arrive(driver: Driver, source: str, value: Any) -> None:
    found = driver.call("make", source).value
    assert (type(found), found) == (type(value), value)


def test_errors_arrive_by_their_names(driver: Driver) -> None:
    for source, kind in (("new TypeError('a')", TypeError), ("new RangeError('a')", RemoteError)):
        found = driver.call("make", source).value
        assert type(found) is kind
        assert "a" in str(found)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("Symbol()", "symbol"),
        ("new (class Basket {})()", "Basket"),
        ("new WeakMap()", "WeakMap"),
        ("(() => { const a = []; a.push(a); return a; })()", "contains itself"),
        ("(() => { let a = []; for (let i = 0; i < 1000; i++) a = [a]; return a; })()", "too deep"),
        ("Promise.resolve(Symbol())", "symbol"),
    ],
)
def test_what_has_no_meaning_to_others(driver: Driver, source: str, message: str) -> None:
    failure = driver.call("make", source).failure
    assert failure is not None
    assert (failure.type_name, message in failure.message) == ("DataCloneError", True)


ENDLESS = (
    "new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(65536)); }, "
    "cancel(error) { globalThis.gone = error.name; } })"
)


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        ("new Blob([new Uint8Array(8 << 20)])", "RangeError", "7 MiB at once"),
        ("(() => { const r = new Response('x'); r.text(); return r; })()", "TypeError", "already been used"),
        ("(() => { const r = new Response('x'); return [r, r]; })()", "TypeError", "already been used"),
        ("(() => { const s = new Blob(['x']).stream(); s.getReader(); return s; })()", "TypeError", "locked"),
        ("Response.error()", "TypeError", "there is no response"),
        ("Object.create(Response.prototype)", "TypeError", ""),
        ("new Request('http://x/', { cf: { f: Symbol() } })", "DataCloneError", "symbol"),
    ],
)
def test_bodies_that_cannot_be_sent(driver: Driver, source: str, name: str, message: str) -> None:
    failure = driver.call("make", source).failure
    assert failure is not None
    assert (failure.type_name, message in failure.message) == (name, True)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (f"[new Uint8Array(8 << 20), {ENDLESS}]", "RangeError"),
        (f"Array.from({{ length: 251 }}, () => {ENDLESS})", "RangeError"),
        (f"[{ENDLESS}, Symbol()]", "DataCloneError"),
        (f"[new Response({ENDLESS}), Symbol()]", "DataCloneError"),
    ],
)
def test_what_is_not_sent_is_told_so(driver: Driver, source: str, name: str) -> None:
    failure = driver.call("make", source).failure
    assert failure is not None
    assert (failure.type_name, driver.call("make", "globalThis.gone").value) == (name, name)


@pytest.mark.parametrize(
    "forged",
    [
        {"$": ["Response", None]},
        {"$": ["Response", [99, [], None, "", "", False]]},
        {"$": ["Response", [200, [["a", "b\r\nc"]], None, "", "", False]]},
        {"$": ["Response", [200, 5, None, "", "", False]]},
        {"$": ["Response", [204, [], "x", "", "", False]]},
        {"$": ["Request", ["GET", "no url", [], None, {}]]},
        {"$": ["Request", ["G T", "http://x/", [], None, {}]]},
        {"$": ["Request", ["GET", "http://x/", [], None]]},
        {"$": ["Headers", [["a"]]]},
        {"$": ["Headers", [["a b", "c"]]]},
        {"$": ["File", [5, None]]},
        {"$": ["Blob", ["text", "a/b"]]},
        {"$": ["FormData", [5]]},
        {"$": ["ReadableStream", ["text"]]},
        {"$": ["ReadableStream", []]},
        {"$": ["constructor", []]},
        {"$": ["__proto__", []]},
        {"$": ["Stub", [1]]},
        {"$": 5},
    ],
)
def test_what_somebody_else_forges(start: Callable[..., Driver], forged: object) -> None:
    assert_refused(start, encode(forged))


def test_bytes_that_somebody_else_names_twice(start: Callable[..., Driver]) -> None:
    assert_refused(start, encode([{"$": ["b", 0]}] * 2, [b"x"]))


@pytest.mark.parametrize("header", ["", "5", "null", "[]", "[5,1]", '["ab",1]', '[{"length":4000000000},1]'])
def test_a_frame_that_is_none(start: Callable[..., Driver], header: str) -> None:
    assert_refused(start, len(header).to_bytes(4, "little") + header.encode())


def assert_refused(start: Callable[..., Driver], value: bytes) -> None:
    worker = """
import { WorkerEntrypoint } from "cloudflare:workers";

export default class extends WorkerEntrypoint {
  async fetch() {
    try { await this.env.OTHER.make(); return new Response("made"); } catch (error) { return new Response("refused"); }
  }
}
"""
    driver = start({"w.js": worker}, bindings=[("OTHER", "fetcher", 1)], answer=lambda _: LATER)
    run = driver.begin()
    driver.step()
    driver.events.resolve_value(1, value)
    driver.settle()
    assert run.text == "refused"
    assert driver.fetch().done is False


@pytest.mark.parametrize("tag", ["x", "toString", "__proto__", "i", "b", "m", "s", "t"])
def test_tags_that_mean_nothing_are_the_senders_own(driver: Driver, tag: str) -> None:
    value = {"$": [tag, {"$": tag}]}
    assert driver.call("same", value).value == value


def test_a_date_that_is_none_stays_none(start: Callable[..., Driver]) -> None:
    """From one JavaScript worker to another; Python has no such instant and says so."""
    worker = """
import { WorkerEntrypoint } from "cloudflare:workers";

export default class extends WorkerEntrypoint {
  async fetch() { return new Response(String((await this.env.OTHER.none()).getTime())); }
  none() { return new Date(NaN); }
}
"""
    driver = start({"w.js": worker}, bindings=[("OTHER", "fetcher", 1)], answer=lambda _: LATER)
    run, other = driver.begin(), driver.begin_call("none")
    driver.settle()
    assert other.returned is not None
    with pytest.raises(WireError, match="a moment is not a number"):
        load_value(other.returned)
    driver.events.resolve_value(1, other.returned)
    driver.settle()
    assert run.text == "NaN"
