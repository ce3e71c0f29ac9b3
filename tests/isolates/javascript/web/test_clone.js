// structuredClone.

const same = (value) => equal(structuredClone(value), value);

test("plain values are copied", async () => {
  same([1, "a", null, true, 2.5, { b: [{}] }]);
  equal([structuredClone(undefined), structuredClone(5n), Object.is(structuredClone(-0), -0)], [undefined, 5n, true]);
  const value = { a: { b: 1 } };
  const copy = structuredClone(value);
  copy.a.b = 2;
  equal(value.a.b, 1);
});

test("objects of the language keep their kind", async () => {
  const copy = structuredClone({
    date: new Date(5), regexp: /a/gi, map: new Map([[{}, new Set([1])]]), bytes: Uint8Array.of(1, 2), number: new Number(3),
    view: new DataView(new ArrayBuffer(4), 1, 2), sparse: [, 1], floats: Float64Array.of(1.5),
  });
  equal([copy.date.getTime(), String(copy.regexp), copy.map instanceof Map, [...copy.map.values()][0].has(1)],
    [5, "/a/gi", true, true]);
  equal([copy.bytes, copy.number instanceof Number, copy.view.byteOffset, copy.view.byteLength], [[1, 2], true, 1, 2]);
  equal([0 in copy.sparse, copy.sparse.length, copy.floats[0]], [false, 2, 1.5]);
});

test("what is shared or circular stays so", async () => {
  const value = { list: [] };
  value.list.push(value, value.list);
  const copy = structuredClone(value);
  equal([copy.list[0] === copy, copy.list[1] === copy.list, copy !== value], [true, true, true]);
  const buffer = new ArrayBuffer(4);
  const [a, b] = structuredClone([new Uint8Array(buffer), new Uint8Array(buffer, 2)]);
  equal(a.buffer === b.buffer, true);
});

test("errors keep name, message, stack and cause", async () => {
  class Mine extends RangeError {}
  const error = new Mine("far", { cause: { code: 1 } });
  error.extra = 1;
  const copy = structuredClone(error);
  equal([copy instanceof RangeError, copy.constructor === RangeError, copy.message, copy.cause, copy.stack === error.stack, copy.extra], [true, true, "far", { code: 1 }, true, undefined]);
  const exception = structuredClone(new DOMException("m", "AbortError"));
  equal([exception.name, exception.code, exception instanceof DOMException], ["AbortError", 20, true]);
});

test("prototypes and accessors are lost", async () => {
  class Point { x = 1; get y() { return 2; } }
  const copy = structuredClone(new Point());
  equal([copy, copy.constructor === Object], [{ x: 1 }, true]);
  equal(structuredClone({ get a() { return 1; }, ["__proto__"]: 2 }), { a: 1, ["__proto__"]: 2 });
});

test("blobs and files are copied", async () => {
  const copy = structuredClone(new File(["x"], "n", { type: "a/b" }));
  equal([copy.name, copy.type, await copy.text()], ["n", "a/b", "x"]);
});

test("buffers are moved where that is asked for", async () => {
  const bytes = Uint8Array.of(1, 2);
  const copy = structuredClone({ bytes }, { transfer: [bytes.buffer] });
  equal([copy.bytes, bytes.length, bytes.buffer.detached], [[1, 2], 0, true]);
  const kept = Uint8Array.of(1);
  await fails(() => structuredClone([kept, () => {}], { transfer: [kept.buffer] }), "DataCloneError");
  equal(kept.length, 1);
  await fails(() => structuredClone(1, { transfer: [bytes.buffer] }), "DataCloneError");
  await fails(() => structuredClone(1, { transfer: [{}] }), "DataCloneError");
});

test("what cannot be copied is refused", async () => {
  for (const value of [() => {}, Symbol("s"), Promise.resolve(), new WeakMap(), new Headers(), new Response(), Object(Symbol("s"))]) {
    await fails(() => structuredClone({ value }), "DataCloneError");
  }
  await fails(() => structuredClone(), "TypeError");
});

test("buffers that can be resized stay so, and a view has to be within its buffer", async () => {
  const buffer = new ArrayBuffer(2, { maxByteLength: 8 });
  const views = [new Uint8Array(buffer, 1, 1), new DataView(buffer, 1, 1)];
  new Uint8Array(buffer).set([1, 2]);
  const copy = structuredClone(buffer);
  equal([new Uint8Array(copy), copy.maxByteLength, structuredClone(views[0])[0]], [[1, 2], 8, 2]);
  buffer.resize(1);
  for (const view of views) await fails(() => structuredClone(view), "DataCloneError");
  for (const view of views) await fails(() => structuredClone(view, { transfer: [buffer] }), "DataCloneError");
  equal(buffer.detached, false);
});

test("a file is as old as it was", () => {
  equal(structuredClone(new File(["x"], "f", { lastModified: 42 })).lastModified, 42);
});
