// ReadableStream: of anything and of bytes, its readers, and what is made of it.

const collect = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
};
const of = (...chunks) =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
const bytes = (...sizes) =>
  new ReadableStream({
    type: "bytes",
    start(controller) {
      for (const size of sizes) controller.enqueue(new Uint8Array(size).fill(size));
      controller.close();
    },
  });

test("chunks come in order, and then the end", async () => {
  const reader = of("a", "b").getReader();
  equal(await reader.read(), { value: "a", done: false });
  equal(await reader.read(), { value: "b", done: false });
  equal(await reader.read(), { value: undefined, done: true });
  equal(await reader.closed, undefined);
});

test("a source is pulled when something is wanted", async () => {
  const seen = [];
  let count = 0;
  const stream = new ReadableStream({
    pull(controller) {
      seen.push("pull");
      controller.enqueue((count += 1));
      if (count === 3) controller.close();
    },
  });
  await scheduler.wait(1);
  equal(seen.length, 1);
  equal(await collect(stream), [1, 2, 3]);
  equal(seen.length, 3);
});

test("a high water mark of zero pulls nothing before a read", async () => {
  let pulls = 0;
  const stream = new ReadableStream({ pull: () => { pulls += 1; } }, { highWaterMark: 0 });
  await scheduler.wait(1);
  equal(pulls, 0);
  stream.getReader().read();
  await scheduler.wait(1);
  equal(pulls, 1);
});

test("a source without a pull waits for what it is given later", async () => {
  let controller;
  const stream = new ReadableStream({ start: (given) => { controller = given; } });
  const read = stream.getReader().read();
  controller.enqueue("late");
  equal(await read, { value: "late", done: false });
  equal(controller.desiredSize, 1);
});

test("errors reach reads, the end and later readers", async () => {
  let controller;
  const stream = new ReadableStream({ start: (given) => { controller = given; } });
  const reader = stream.getReader();
  const read = reader.read();
  controller.error(new Error("broken"));
  await fails(read, "broken");
  await fails(reader.closed, "broken");
  reader.releaseLock();
  await fails(stream.getReader().read(), "broken");
  equal(controller.desiredSize, null);
  await fails(() => controller.enqueue(1), "TypeError");
});

test("an error of start, pull or a strategy breaks the stream", async () => {
  await fails(() => new ReadableStream({ start() { throw new Error("start"); } }), "start");
  await fails(new ReadableStream({ start: async () => { throw new Error("later"); } }).getReader().read(), "later");
  await fails(new ReadableStream({ pull() { throw new Error("pull"); } }).getReader().read(), "pull");
  const stream = new ReadableStream({ start(c) { try { c.enqueue(1); } catch {} } }, { size: () => -1 });
  await fails(stream.getReader().read(), "RangeError");
});

test("cancelling tells the source why", async () => {
  const seen = [];
  const stream = new ReadableStream({ cancel: (reason) => { seen.push(reason); } });
  await stream.cancel("enough");
  equal(seen, ["enough"]);
  equal(await stream.getReader().read(), { value: undefined, done: true });
  await fails(new ReadableStream({ cancel() { throw new Error("no"); } }).cancel(), "no");
});

test("a locked stream has one reader", async () => {
  const stream = of(1, 2);
  const reader = stream.getReader();
  equal(stream.locked, true);
  await fails(() => stream.getReader(), "locked");
  await fails(stream.cancel(), "locked");
  equal((await reader.read()).value, 1);
  reader.releaseLock();
  equal(stream.locked, false);
  await fails(reader.read(), "released");
  await fails(reader.closed, "released");
  equal(await collect(stream), [2]);
});

test("releasing a lock fails the reads that wait", async () => {
  let controller;
  const stream = new ReadableStream({ start: (given) => { controller = given; } });
  const reader = stream.getReader();
  const read = reader.read();
  reader.releaseLock();
  await fails(read, "released");
  controller.enqueue("kept");
  equal((await stream.getReader().read()).value, "kept");
});

test("a strategy weighs chunks", async () => {
  let controller;
  new ReadableStream({ start: (given) => { controller = given; } }, new ByteLengthQueuingStrategy({ highWaterMark: 10 }));
  controller.enqueue(new Uint8Array(4));
  equal(controller.desiredSize, 6);
  equal(new CountQueuingStrategy({ highWaterMark: 3 }).size("any"), 1);
});

test("breaking out of an iteration cancels", async () => {
  const seen = [];
  const make = () => new ReadableStream({ pull: (c) => c.enqueue(1), cancel: () => { seen.push("cancel"); } });
  const stream = make();
  for await (const chunk of stream) break;
  equal(seen, ["cancel"]);
  equal(stream.locked, false);
  const other = make();
  for await (const chunk of other.values({ preventCancel: true })) break;
  equal(seen, ["cancel"]);
  equal(other.locked, false);
});

test("steps of an iteration that overlap keep their order", async () => {
  const iterator = of(1, 2).values();
  const end = { value: undefined, done: true };
  equal(await Promise.all([iterator.next(), iterator.next(), iterator.next(), iterator.next()]), [
    { value: 1, done: false }, { value: 2, done: false }, end, end,
  ]);
});

test("streams are made of iterables", async () => {
  equal(await collect(ReadableStream.from(["a", Promise.resolve("b")])), ["a", "b"]);
  const seen = [];
  async function* numbers() {
    try { yield 1; yield 2; } finally { seen.push("closed"); }
  }
  for await (const number of ReadableStream.from(numbers())) break;
  await scheduler.wait(1); // the engine does not wait for what `return` promises
  equal(seen, ["closed"]);
  await fails(() => ReadableStream.from(5), "TypeError");
});

test("both branches of a tee have everything", async () => {
  const [a, b] = of(1, 2, 3).tee();
  equal(await Promise.all([collect(a), collect(b)]), [[1, 2, 3], [1, 2, 3]]);
});

test("a teed source is cancelled when both branches are", async () => {
  const seen = [];
  const [a, b] = new ReadableStream({ cancel: (reason) => { seen.push(reason); } }).tee();
  const first = a.cancel("a");
  await scheduler.wait(1);
  equal(seen, []);
  await Promise.all([first, b.cancel("b")]);
  equal(seen, [["a", "b"]]);
});

test("errors reach both branches of a tee", async () => {
  const [a, b] = new ReadableStream({ pull() { throw new Error("broken"); } }).tee();
  await fails(a.getReader().read(), "broken");
  await fails(b.getReader().read(), "broken");
});

test("branches of bytes are copies", async () => {
  const [a, b] = bytes(2).tee();
  const first = (await a.getReader().read()).value;
  first[0] = 99;
  equal((await b.getReader({ mode: "byob" }).read(new Uint8Array(4))).value, [2, 2]);
});

test("bytes are read as they come", async () => {
  equal(await collect(bytes(1, 2)), [Uint8Array.of(1), Uint8Array.of(2, 2)]);
});

test("buffers that a reader brings are filled", async () => {
  const reader = bytes(2, 3).getReader({ mode: "byob" });
  const { value } = await reader.read(new Uint8Array(4));
  equal(value, [2, 2, 3, 3]);
  equal((await reader.read(new Uint8Array(value.buffer))).value, [3]);
  const last = await reader.read(new Uint8Array(8));
  equal([last.value.length, last.done], [0, true]);
});

test("views of other types get whole elements", async () => {
  const stream = new ReadableStream({
    type: "bytes",
    pull(controller) {
      controller.enqueue(Uint8Array.of(1, 0, 2));
      controller.enqueue(Uint8Array.of(0));
      controller.close();
    },
  });
  const reader = stream.getReader({ mode: "byob" });
  const first = await reader.read(new Uint16Array(4));
  equal([[...first.value], first.value instanceof Uint16Array], [[1], true]);
  equal([...(await reader.read(new Uint16Array(4))).value], [2]);
});

test("a read may ask for so much at least", async () => {
  let count = 0;
  const stream = new ReadableStream({ type: "bytes", pull: (c) => { c.enqueue(Uint8Array.of((count += 1))); } });
  const reader = stream.getReader({ mode: "byob" });
  equal((await reader.read(new Uint8Array(8), { min: 3 })).value.slice(0, 3), [1, 2, 3]);
  equal((await reader.readAtLeast(2, new Uint8Array(8))).value.length >= 2, true);
});

test("a source may write into the reader's own buffer", async () => {
  const stream = new ReadableStream({
    type: "bytes",
    pull(controller) {
      const { byobRequest } = controller;
      byobRequest.view.set([7, 8]);
      byobRequest.respond(2);
      if (byobRequest.view !== null) throw new Error("still valid");
    },
  });
  equal((await stream.getReader({ mode: "byob" }).read(new Uint8Array(5))).value, [7, 8]);
});

test("a source may answer with another view of the same region", async () => {
  const stream = new ReadableStream({
    type: "bytes",
    pull(controller) {
      const { view } = controller.byobRequest;
      const moved = view.buffer.transfer();
      const answer = new Uint8Array(moved, view.byteOffset, 1);
      answer[0] = 9;
      controller.byobRequest.respondWithNewView(answer);
    },
  });
  equal((await stream.getReader({ mode: "byob" }).read(new Uint8Array(5))).value, [9]);
});

test("chunks are allocated for readers without buffers where a source wants it", async () => {
  const stream = new ReadableStream({
    type: "bytes",
    autoAllocateChunkSize: 16,
    pull(controller) {
      equal(controller.byobRequest.view.byteLength, 16);
      controller.byobRequest.view[0] = 5;
      controller.byobRequest.respond(1);
    },
  });
  equal((await stream.getReader().read()).value, [5]);
});

test("a closed stream of bytes gives the buffer back", async () => {
  let controller;
  const stream = new ReadableStream({ type: "bytes", start: (given) => { controller = given; } });
  const read = stream.getReader({ mode: "byob" }).read(new Uint8Array(5));
  controller.close();
  controller.byobRequest.respond(0);
  const { value, done } = await read;
  equal([value.length, value.buffer.byteLength, done], [0, 5, true]);
});

test("what bytes refuse", async () => {
  let controller;
  const stream = new ReadableStream({ type: "bytes", start: (given) => { controller = given; } });
  await fails(() => controller.enqueue("text"), "TypeError");
  await fails(() => controller.enqueue(new Uint8Array(0)), "TypeError");
  await fails(() => of(1).getReader({ mode: "byob" }), "TypeError");
  const reader = stream.getReader({ mode: "byob" });
  await fails(reader.read(new Uint8Array(0)), "TypeError");
  await fails(reader.read(new Uint8Array(1), { min: 2 }), "RangeError");
  reader.read(new Uint16Array(1));
  await fails(() => controller.byobRequest.respond(3), "RangeError");
  await fails(() => controller.byobRequest.respond(0), "TypeError");
  controller.enqueue(Uint8Array.of(1));
  await fails(() => controller.close(), "TypeError");
  await fails(() => new ReadableStream({ type: "text" }), "TypeError");
  await fails(() => new ReadableStream({ type: "bytes" }, { size: () => 1 }), "RangeError");
  await fails(() => new ReadableStreamDefaultController(), "Illegal constructor");
});

test("an abandoned buffer's bytes are not lost", async () => {
  let controller;
  const stream = new ReadableStream({ type: "bytes", start: (given) => { controller = given; } });
  const reader = stream.getReader({ mode: "byob" });
  const read = reader.read(new Uint8Array(4));
  const request = controller.byobRequest;
  reader.releaseLock();
  await fails(read, "released");
  request.view[0] = 6;
  request.respond(1);
  equal((await stream.getReader().read()).value, [6]);
});

test("a long queue stays in order", async () => {
  const numbers = Array.from({ length: 1000 }, (_, i) => i);
  equal((await collect(of(...numbers))).every((number, i) => number === i), true);
});
