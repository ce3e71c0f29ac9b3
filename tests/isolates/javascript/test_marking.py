"""What is in an image is never counted, and never freed; all else is, and can be changed as before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyworkerd_isolates.javascript.counting import IMMORTAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver

KEPT = """
const big = 1234567890123456789012345678901234567890n, list = ["one", "two", ["three"]], sign = Symbol("sign");
const bare = Object.create(null), table = new Map([["key", "value"]]);
let text = "begun";
class Point { #x = 1; y = "why"; get x() { return this.#x; } set x(value) { this.#x = value; } }
const point = new Point();
const lone = { only: "one" };
for (let i = 0; i < 100; i++) bare[`name${i}`] = i;
export default { async fetch() {
  for (let round = 0; round < 3; round++) {
    text += ", more";
    list.push(`item ${list.length}`);
    lone[`round${round}`] = round;
    point.x += 1;
    point.z = point.y + round;
    delete bare[`name${round}`];
    bare.added = round;
    table.set(`key${round}`, text);
    Object.setPrototypeOf(lone, { inherited: round });
  }
  Object.freeze(point);
  list[2].length = 0;
  const said = [text, list, lone, lone.inherited, point.x, point.z, Object.keys(bare).length, table.size,
    String(big + 1n), String(-big), sign.description, Object.isFrozen(point)];
  return Response.json(said);
} };
"""
GARBAGE = """
const root = { children: [] };
let count = 0;
class Node {
  constructor() { this.self = this; this.root = root; this.text = "x".repeat(1e3) + count++; this.ring = [this]; }
}
export default { fetch() {
  for (let i = 0; i < 200; i++) {
    const node = new Node();
    root.latest = node;
    root.children[i % 10] = node;
  }
  return new Response(String(count));
} };
"""
WAITING = """
const seen = [];
let done;
const promise = new Promise((resolve) => { done = resolve; });
(async () => {
  const local = { list: [1] };
  try { seen.push(await promise, local.list.length); } finally { seen.push("finally"); }
})();
function* counting() {
  const held = ["x"];
  try { for (let i = 0; i < 3; i++) yield i + held[0]; } finally { seen.push("over"); }
}
const [some, others] = [counting(), counting()];
some.next();
others.next();
async function* slowly() { for (let i = 0; i < 3; i++) yield i; }
const slow = slowly();
slow.next().then(({ value }) => seen.push(value));
let target = {};
const [weak, weakly] = [new WeakRef(target), new WeakMap([[target, "v"]])];
const iterator = [1, 2, 3][Symbol.iterator]();
iterator.next();
export default { async fetch() {
  done("done");
  await null;
  seen.push([...some].join(), others.return("r").value);
  for await (const each of slow) seen.push(each);
  target = null;
  for (let i = 0; i < 100000; i++) { const ring = {}; ring.ring = ring; }
  seen.push(weakly.get(weak.deref()), ...iterator);
  return Response.json(seen);
} };
"""


def test_what_waits_in_an_image_goes_on(start: Callable[..., Driver]) -> None:
    waited = [0, "done", 1, "finally", "over", "over", "1x,2x", "r", 1, 2, "v", 2, 3]
    assert sorted(map(str, start({"w.js": WAITING}).fetch().json)) == sorted(map(str, waited))


def test_what_an_image_holds_can_be_changed(start: Callable[..., Driver]) -> None:
    assert start({"w.js": KEPT}).fetch().json == [
        "begun, more, more, more", ["one", "two", [], "item 3", "item 4", "item 5"],
        {"only": "one", "round0": 0, "round1": 1, "round2": 2}, 2, 4, "why2", 98, 4,
        "1234567890123456789012345678901234567891", "-1234567890123456789012345678901234567890", "sign", True,
    ]  # fmt: skip


def test_garbage_in_circles_is_collected_though_the_image_is_in_them(start: Callable[..., Driver]) -> None:
    worker = start({"w.js": GARBAGE})
    for _ in range(150):
        worker.fetch()
    before = worker.isolate.memory_size
    assert [worker.fetch().text for _ in range(50)][-1] == "40000"
    assert worker.isolate.memory_size == before


USED = """
const text = "text", list = ["a", "b"], object = { text, list, inner: { text } }, proxy = new Proxy(object, {});
const [map, set, weak] = [new Map([["k", "v"], [object, list]]), new Set(["a", object]), new WeakMap([[object, text]])];
const [pattern, big, sign, promise] = [/(?<n>a+)b/g, 2n ** 80n, Symbol("sign"), Promise.resolve(object)];
const error = new RangeError("error");
class Base { #own = 1; static of() { return new this(); } get own() { return this.#own; } say(...all) { return all; } }
class Derived extends Base { say() { return super.say(...list); } }
function* each() { yield object; yield* list; }
async function* slowly() { yield object; }
const uses = [
  () => JSON.stringify(object) + JSON.stringify(object, (key, value) => value, 1),
  () => JSON.parse("[{}]", (key, value) => value),
  () => [...each(), ...list, ...map.keys(), ...set].concat(list).map((one) => one).sort().toSorted().join(),
  () => { const { inner, ...rest } = { ...object }; return Object.assign(inner, rest, Object.entries(object)); },
  () => { map.set("more", list).delete("more"); set.add(list).delete(list); return weak.set(list, map).delete(list); },
  () => "aab".replace(pattern, "$<n>") + [..."aab".matchAll(pattern)] + "a,b".split(",") + `${text}${list}`.at(1),
  () => [big + 1n, -big, String(big), BigInt.asIntN(8, big), sign.description, Symbol.for("key"), object[sign]],
  () => [new Derived().say(), Derived.of().own, Object.create(object), Reflect.construct(Base, [], Derived)],
  () => [proxy.text, "text" in proxy, Reflect.ownKeys(proxy), proxy.inner.text, structuredClone(object)],
  () => { try { throw error; } catch (caught) { return [caught.stack, new Error(text, { cause: caught })]; } },
  () => [Function("one", "return one")(object), Base.bind(null, list), (() => object).call(list), [list].flat()],
  async () => { await promise.finally(() => {}); for await (const _ of slowly()); await Promise.all([promise]); },
  async () => { await import("./other.js"); await Promise.race([promise, Promise.reject(error)]); },
];
export default { async fetch() {
  for (const use of uses) for (let i = 0; i < 20; i++) await use();
  return new Response("used");
} };
"""


def test_no_use_of_what_an_image_holds_counts(start: Callable[..., Driver]) -> None:
    worker = start({"w.js": USED, "other.js": "export default {};"})
    before, count = worker.isolate.memory(), IMMORTAL.to_bytes(4, "little")
    assert worker.fetch().text == "used"
    after = worker.isolate.memory()
    marked = [found.start() for found in re.finditer(re.escape(count), before) if not found.start() % 4]
    assert len(marked) > 10_000
    assert not [at for at in marked if after[at : at + 4] != count]
