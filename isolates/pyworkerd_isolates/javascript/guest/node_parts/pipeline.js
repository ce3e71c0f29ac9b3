// `pipeline` of "node:stream": streams, iterables and functions one behind the other, which end and fail together.

import { coded, invalidType, requireFunction } from "pyworkerd:node_parts/errors";
import { finished } from "pyworkerd:node_parts/stream_end";
import {
  abortedBy, destroyedError, isIterable, isNodeStream, isReadableNode, isWritableNode, later,
} from "pyworkerd:node_parts/stream_state";
import { duplexFromWeb, isPair, readableFromWeb, writableFromWeb } from "pyworkerd:node_parts/stream_web";

// Writes all that there is to iterate over, no faster than it is taken.
async function pump(source, stream, ends) {
  let failure;
  let wake = () => {};
  const stop = finished(stream, { readable: false }, (error) => {
    failure = error ?? destroyedError("pipe");
    wake();
  });
  const onDrain = () => wake();
  stream.on("drain", onDrain);
  const room = async () => {
    if (stream.writableNeedDrain && failure === undefined) await new Promise((resolve) => { wake = resolve; });
    if (failure !== undefined) throw failure;
  };
  try {
    await room();
    for await (const chunk of source) {
      stream.write(chunk);
      await room();
    }
  } finally {
    stop();
    stream.off("drain", onDrain);
  }
  if (!ends) return;
  stream.end();
  await new Promise((resolve, reject) => {
    finished(stream, { readable: false }, (error) => (error ? reject(error) : resolve()));
  });
}

async function drain(source) {
  for await (const _ of source);
}

// Streams of the web as those of Node.js.
function ofNode(each) {
  if (each instanceof ReadableStream) return readableFromWeb(each, { objectMode: true });
  if (each instanceof WritableStream) return writableFromWeb(each, { objectMode: true });
  return isPair(each) && !isNodeStream(each) ? duplexFromWeb(each, { objectMode: true }) : each;
}

/** Joins them. `callback` is told once, with an error or with the value of the last function. */
export function pipeline(...given) {
  const callback = given.pop();
  requireFunction(callback, "streams[stream.length - 1]");
  return new Line(callback, {}).join(given);
}

/** The same as a promise, with options. */
export function whenPiped(...given) {
  const last = given.at(-1);
  const hasOptions =
    last !== null && typeof last === "object" && !isNodeStream(last) && !isIterable(last) && !isPair(last) &&
    !(last instanceof ReadableStream) && !(last instanceof WritableStream);
  const options = hasOptions ? given.pop() : {};
  return new Promise((resolve, reject) => {
    new Line((error, value) => (error ? reject(error) : resolve(value)), options).join(given);
  });
}

class Line {
  constructor(callback, { signal, end = true }) {
    this.callback = callback;
    this.signal = signal;
    this.ends = end;
    this.left = 1; // what has not ended yet; it is one more while the line is joined
    this.failure = undefined;
    this.value = undefined;
    this.destroyers = [];
    this.aborting = new AbortController();
    this.abort = () => this.done(abortedBy(signal), 0);
  }

  done(error, count = 1) {
    this.left -= count;
    if (error && (!this.failure || this.failure.code === "ERR_STREAM_PREMATURE_CLOSE")) this.failure = error;
    if (!this.failure && this.left > 0) return;
    for (const destroy of this.destroyers.splice(0)) destroy(this.failure);
    this.aborting.abort();
    if (this.left > 0) return;
    this.signal?.removeEventListener("abort", this.abort);
    later(() => (this.failure ? this.callback(this.failure) : this.callback(undefined, this.value)));
  }

  // One stream of the line: destroyed where another one fails.
  watch(stream, readable, writable) {
    let isOver = false;
    this.left += 1;
    finished(stream, { readable, writable }, (error) => {
      isOver = true;
      this.done(error);
    });
    this.destroyers.push((error) => {
      if (!isOver) stream.destroy?.(error ?? destroyedError("pipe"));
    });
  }

  // What is awaited; it cannot be stopped, but for what it waits for.
  wait(promise) {
    this.left += 1;
    promise.then(() => this.done(), (error) => this.done(error ?? new Error("it failed, and did not say why")));
  }

  join(given) {
    const line = (given.length === 1 && Array.isArray(given[0]) ? given[0] : given).map(ofNode);
    if (line.length < 2) throw coded(TypeError, "ERR_MISSING_ARGS", 'The "streams" argument must be specified');
    if (this.signal?.aborted) this.abort();
    else this.signal?.addEventListener("abort", this.abort, { once: true });
    let last;
    line.forEach((each, at) => {
      const isLast = at === line.length - 1;
      if (typeof each === "function") last = this.call(each, last, at, isLast);
      else last = this.connect(each, last, at, isLast);
    });
    this.done();
    return last;
  }

  call(act, last, at, isLast) {
    const options = { signal: this.aborting.signal };
    const made = at === 0 ? act(options) : act(last, options);
    if (isLast && typeof made?.then === "function") {
      this.wait(Promise.resolve(made).then((value) => { this.value = value; }));
      return at === 0 ? made : last;
    }
    if (!isIterable(made)) {
      const what = isLast ? `AsyncIterable or Promise` : "AsyncIterable";
      const name = at === 0 ? "source" : (isLast ? "destination" : `transform[${at - 1}]`);
      const message = `Expected ${what} to be returned from the "${name}" function but got ${typeof made}.`;
      throw coded(TypeError, "ERR_INVALID_RETURN_VALUE", message);
    }
    if (isNodeStream(made)) this.watch(made, true, false);
    if (isLast) this.wait(drain(made));
    return made;
  }

  connect(each, last, at, isLast) {
    const ends = this.ends || !isLast;
    if (!isNodeStream(each)) {
      if (at === 0 && isIterable(each)) return each;
      throw invalidType(`streams[${at}]`, "one of Stream, Function, Iterable, or AsyncIterable", each);
    }
    if (at === 0) {
      this.watch(each, true, false);
    } else if (isNodeStream(last) && isReadableNode(last)) {
      if (ends) this.watch(each, !isLast, isWritableNode(each));
      pipe(last, each, ends);
    } else if (isIterable(last)) {
      this.wait(pump(last, each, ends));
      if (ends) this.watch(each, !isLast, isWritableNode(each));
    } else {
      throw invalidType("val", "one of Readable, Iterable, or AsyncIterable", last);
    }
    return each;
  }
}

function pipe(from, to, ends) {
  from.pipe(to, { end: false });
  if (!ends) return;
  const close = () => to.end();
  if (from.readableEnded) later(close);
  else from.once("end", close);
}
