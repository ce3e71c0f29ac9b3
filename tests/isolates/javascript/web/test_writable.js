// WritableStream, pipes and transformations.

const from = (...chunks) => ReadableStream.from(chunks);
const collect = (stream) => Array.fromAsync(stream);

function sink(log, options = {}) {
  return new WritableStream({
    write: (chunk) => { log.push(chunk); },
    close: () => { log.push("close"); },
    abort: (reason) => { log.push(["abort", reason]); },
  }, options);
}

test("chunks are written in order, and the end after them", async () => {
  const log = [];
  const writer = sink(log).getWriter();
  writer.write(1);
  writer.write(2);
  await writer.close();
  equal(log, [1, 2, "close"]);
  equal(await writer.closed, undefined);
  await fails(writer.write(3), "closed");
});

test("one chunk is written at a time", async () => {
  const log = [];
  const stream = new WritableStream({
    async write(chunk) {
      log.push(`${chunk} begins`);
      await scheduler.wait(5);
      log.push(`${chunk} ends`);
    },
  });
  const writer = stream.getWriter();
  await Promise.all([writer.write(1), writer.write(2)]);
  equal(log, ["1 begins", "1 ends", "2 begins", "2 ends"]);
});

test("a writer says when it has room", async () => {
  const stream = new WritableStream({ write: () => scheduler.wait(5) }, { highWaterMark: 2 });
  const writer = stream.getWriter();
  equal(writer.desiredSize, 2);
  await writer.ready;
  writer.write(1);
  writer.write(2);
  equal(writer.desiredSize, 0);
  await writer.ready;
  equal(writer.desiredSize, 1);
});

test("an error of the sink fails what is written and what comes after", async () => {
  const stream = new WritableStream({ write() { throw new Error("full"); } });
  const writer = stream.getWriter();
  await fails(writer.write(1), "full");
  await fails(writer.write(2), "full");
  await fails(writer.closed, "full");
  await fails(writer.ready, "full");
});

test("a sink may break the stream itself, and hears of aborting", async () => {
  let controller;
  const stream = new WritableStream({ start: (given) => { controller = given; } });
  await scheduler.wait(1);
  controller.error(new Error("gone"));
  await fails(stream.getWriter().closed, "gone");

  const log = [];
  const other = new WritableStream({
    start: (given) => { given.signal.onabort = () => log.push(given.signal.reason); },
    abort: (reason) => { log.push(["abort", reason]); },
  });
  await other.abort("why");
  equal(log, ["why", ["abort", "why"]]);
  await fails(other.getWriter().closed, "why");
});

test("aborting waits for the write that is under way and drops the others", async () => {
  const log = [];
  const stream = new WritableStream({
    async write(chunk) {
      await scheduler.wait(5);
      log.push(chunk);
    },
    abort: () => { log.push("abort"); },
  });
  const writer = stream.getWriter();
  await scheduler.wait(1);
  const writes = [writer.write(1), writer.write(2)];
  await writer.abort("stop");
  equal(log, [1, "abort"]);
  equal((await Promise.allSettled(writes)).map(({ status }) => status), ["fulfilled", "rejected"]);
});

test("a locked stream has one writer", async () => {
  const stream = sink([]);
  const writer = stream.getWriter();
  await fails(() => stream.getWriter(), "locked");
  await fails(stream.close(), "locked");
  await fails(stream.abort(), "locked");
  writer.releaseLock();
  await fails(writer.write(1), "released");
  await fails(writer.closed, "released");
  await stream.close();
  await fails(stream.close(), "closed");
});

test("a pipe writes everything and closes", async () => {
  const log = [];
  const destination = sink(log);
  await from(1, 2, 3).pipeTo(destination);
  equal(log, [1, 2, 3, "close"]);
  equal(destination.locked, false);
});

test("a pipe may leave its destination open", async () => {
  const log = [];
  const destination = sink(log);
  await from(1).pipeTo(destination, { preventClose: true });
  await from(2).pipeTo(destination);
  equal(log, [1, 2, "close"]);
});

test("a pipe waits for room", async () => {
  let pulled = 0;
  const source = new ReadableStream({ pull: (c) => { c.enqueue((pulled += 1)); } }, { highWaterMark: 0 });
  const controller = new AbortController();
  const done = source.pipeTo(new WritableStream({ write: () => scheduler.wait(1000) }), { signal: controller.signal });
  await scheduler.wait(10);
  equal(pulled, 1);
  controller.abort("over");
  await fails(done, "over");
});

test("a failing source aborts the destination", async () => {
  const log = [];
  const source = new ReadableStream({ pull() { throw "broken"; } });
  await fails(source.pipeTo(sink(log)), "broken");
  equal(log, [["abort", "broken"]]);
});

test("a failing destination cancels the source", async () => {
  const log = [];
  const source = new ReadableStream({ pull: (c) => c.enqueue(1), cancel: (reason) => { log.push(reason); } });
  await fails(source.pipeTo(new WritableStream({ write() { throw "full"; } })), "full");
  equal(log, ["full"]);
});

test("a closed destination refuses a pipe", async () => {
  const destination = sink([]);
  await destination.close();
  const log = [];
  const source = new ReadableStream({ cancel: (reason) => { log.push(reason.name); } });
  await fails(source.pipeTo(destination), "TypeError");
  equal(log, ["TypeError"]);
});

test("an aborted pipe stops both ends", async () => {
  const log = [];
  const source = new ReadableStream({ cancel: (reason) => { log.push(["cancel", reason]); } });
  await fails(source.pipeTo(sink(log), { signal: AbortSignal.abort("no") }), "no");
  equal(log, [["abort", "no"], ["cancel", "no"]]);
  equal(source.locked, false);
});

test("transformations change, add and drop chunks", async () => {
  const doubled = new TransformStream({
    transform(chunk, controller) {
      if (chunk === 2) return;
      controller.enqueue(chunk);
      controller.enqueue(chunk * 10);
    },
    flush: (controller) => controller.enqueue("end"),
  });
  equal(await collect(from(1, 2, 3).pipeThrough(doubled)), [1, 10, 3, 30, "end"]);
});

test("a transformation without methods hands on", async () => {
  const { readable, writable } = new TransformStream();
  const writer = writable.getWriter();
  writer.write("a");
  writer.close();
  equal(await collect(readable), ["a"]);
});

test("a transformation that throws fails both ends", async () => {
  const { readable, writable } = new TransformStream({ transform() { throw new Error("cannot"); } });
  const writer = writable.getWriter();
  const read = readable.getReader().read();
  await fails(writer.write(1), "cannot");
  await fails(read, "cannot");
  await fails(writer.closed, "cannot");
});

test("a transformation may end early", async () => {
  const first = new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk);
      controller.terminate();
    },
  });
  equal(await collect(ReadableStream.from([1, 2, 3]).pipeThrough(first)), [1]);
});

test("cancelling the readable end aborts the writable one", async () => {
  const log = [];
  const { readable, writable } = new TransformStream({ cancel: (reason) => { log.push(reason); } });
  const writer = writable.getWriter();
  await readable.cancel("enough");
  equal(log, ["enough"]);
  await fails(writer.closed, "enough");
});

test("aborting the writable end fails the readable one", async () => {
  const { readable, writable } = new TransformStream();
  await writable.abort("gone");
  await fails(readable.getReader().read(), "gone");
});

test("a transformation waits until somebody reads", async () => {
  const { readable, writable } = new TransformStream();
  const writer = writable.getWriter();
  let written = false;
  writer.write(1).then(() => { written = true; });
  await scheduler.wait(5);
  equal(written, false);
  equal((await readable.getReader().read()).value, 1);
  await scheduler.wait(5);
  equal(written, true);
});

test("the start of a transformation may take time and may enqueue", async () => {
  const stream = new TransformStream({
    async start(controller) {
      controller.enqueue("first");
      await scheduler.wait(5);
    },
  });
  equal(await collect(from("second").pipeThrough(stream)), ["first", "second"]);
});

test("text is encoded and decoded over the borders of chunks", async () => {
  const encoded = from("a\ud83d", "\ude00b\ud800").pipeThrough(new TextEncoderStream());
  const pieces = await collect(encoded);
  equal(new TextDecoder().decode(Uint8Array.from(pieces.flatMap((piece) => [...piece]))), "a😀b\ufffd");
  const bytes = [...new TextEncoder().encode("x€😀")].map((byte) => Uint8Array.of(byte));
  equal((await collect(from(...bytes).pipeThrough(new TextDecoderStream()))).join(""), "x€😀");
  const fatal = new TextDecoderStream("utf-8", { fatal: true });
  equal([fatal.encoding, fatal.fatal, fatal.ignoreBOM], ["utf-8", true, false]);
  await fails(collect(from(Uint8Array.of(0xe2)).pipeThrough(fatal)), "TypeError");
});

test("workerd's streams hand on bytes, and count them", async () => {
  const same = from(Uint8Array.of(1, 2)).pipeThrough(new IdentityTransformStream());
  equal(await collect(same), [Uint8Array.of(1, 2)]);
  await fails(collect(from("text").pipeThrough(new IdentityTransformStream())), "TypeError");
  equal(await collect(from(Uint8Array.of(1, 2)).pipeThrough(new FixedLengthStream(2))), [Uint8Array.of(1, 2)]);
  await fails(collect(from(Uint8Array.of(1, 2)).pipeThrough(new FixedLengthStream(1))), "more bytes");
  await fails(collect(from(Uint8Array.of(1, 2)).pipeThrough(new FixedLengthStream(3))), "fewer");
});

test("what pipes refuse", async () => {
  await fails(() => from(1).pipeThrough({}), "TypeError");
  await fails(from(1).pipeTo({}), "TypeError");
  const locked = from(1);
  locked.getReader();
  await fails(locked.pipeTo(sink([])), "locked");
  await fails(() => new WritableStream({ type: "bytes" }), "RangeError");
  await fails(() => new WritableStream({}, { highWaterMark: -1 }), "RangeError");
  await fails(() => new TransformStream({ readableType: "x" }), "RangeError");
  await fails(() => new ReadableStream({ pull: 1 }), "TypeError");
});
