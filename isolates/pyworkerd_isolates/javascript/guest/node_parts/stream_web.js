// Streams of "node:stream" as streams of the web, and back. What one side does not take, the other does not ask for.

import { Buffer } from "pyworkerd:node/buffer";
import { Duplex } from "pyworkerd:node_parts/duplex";
import { invalidType } from "pyworkerd:node_parts/errors";
import { Readable } from "pyworkerd:node_parts/readable";
import { finished } from "pyworkerd:node_parts/stream_end";
import { abortedBy, isNodeStream } from "pyworkerd:node_parts/stream_state";
import { Writable } from "pyworkerd:node_parts/writable";

/** Whether it is a pair of streams of the web. */
export const isPair = (value) =>
  value?.readable instanceof ReadableStream && value.writable instanceof WritableStream;

// Settles a callback of a stream of Node.js, outside of the promise: what it throws is nobody's rejection.
const settle = (promise, callback) => {
  promise.then(() => queueMicrotask(() => callback()), (error) => queueMicrotask(() => callback(asError(error))));
};
const asError = (reason) => reason ?? abortedBy();

function reading(source, stream) {
  const reader = source.getReader();
  stream._read = () => {
    reader.read().then(
      ({ value, done }) => queueMicrotask(() => stream.push(done ? null : value)),
      (error) => stream.destroy(asError(error)),
    );
  };
  return (error) => reader.cancel(error).finally(() => reader.releaseLock());
}

function writing(target, stream) {
  const writer = target.getWriter();
  stream._write = (chunk, encoding, callback) => {
    const bytes = typeof chunk === "string" && !stream.writableObjectMode ? Buffer.from(chunk, encoding) : chunk;
    settle(writer.ready.then(() => writer.write(bytes)), callback);
  };
  stream._final = (callback) => settle(writer.close(), callback);
  writer.closed.catch((error) => stream.destroy(asError(error)));
  return (error) => writer.abort(error);
}

// Lets go of the streams of the web when their stream is destroyed before its end.
function ending(stream, ways) {
  stream._destroy = (error, callback) => {
    const open = ways.filter(({ isOver }) => !isOver()).map(({ stop }) => stop(error ?? abortedBy()));
    Promise.allSettled(open).then(() => queueMicrotask(() => callback(error)));
  };
}

const unread = (stream) => () => stream.readableEnded;
const unwritten = (stream) => () => stream.writableFinished;

export function readableFromWeb(source, options = undefined) {
  if (!(source instanceof ReadableStream)) {
    throw invalidType("readableStream", "an instance of ReadableStream", source);
  }
  const stream = new Readable(options);
  ending(stream, [{ stop: reading(source, stream), isOver: unread(stream) }]);
  return stream;
}

export function writableFromWeb(target, options = undefined) {
  if (!(target instanceof WritableStream)) {
    throw invalidType("writableStream", "an instance of WritableStream", target);
  }
  const stream = new Writable(options);
  ending(stream, [{ stop: writing(target, stream), isOver: unwritten(stream) }]);
  return stream;
}

export function duplexFromWeb(pair, options = undefined) {
  if (!isPair(pair)) throw invalidType("pair", "a pair of a ReadableStream and a WritableStream", pair);
  const stream = new Duplex(options);
  ending(stream, [
    { stop: reading(pair.readable, stream), isOver: unread(stream) },
    { stop: writing(pair.writable, stream), isOver: unwritten(stream) },
  ]);
  return stream;
}

const strategyOf = (highWaterMark, isObject) =>
  (isObject
    ? new CountQueuingStrategy({ highWaterMark })
    : { highWaterMark, size: (chunk) => chunk.byteLength ?? chunk.length });

export function readableToWeb(stream, options = undefined) {
  if (!isNodeStream(stream) || typeof stream.pipe !== "function") {
    throw invalidType("streamReadable", "an instance of stream.Readable", stream);
  }
  const isObject = Boolean(stream.readableObjectMode);
  const strategy = options?.strategy ?? strategyOf(stream.readableHighWaterMark, isObject);
  return new ReadableStream({
    start(controller) {
      stream.pause();
      finished(stream, { writable: false }, (error) => {
        stream.on("error", () => {});
        if (error) controller.error(error.code === "ERR_STREAM_PREMATURE_CLOSE" ? abortedBy() : error);
        else controller.close();
      });
      stream.on("data", (chunk) => {
        // Bytes of their own: who gets them may change or transfer them.
        controller.enqueue(chunk instanceof Uint8Array && !isObject ? new Uint8Array(chunk) : chunk);
        if (controller.desiredSize <= 0) stream.pause();
      });
      stream.pause();
    },
    pull() { stream.resume(); },
    cancel(reason) { stream.destroy(reason); },
  }, strategy);
}

export function writableToWeb(stream) {
  if (!isNodeStream(stream) || typeof stream.write !== "function") {
    throw invalidType("streamWritable", "an instance of stream.Writable", stream);
  }
  const strategy = strategyOf(stream.writableHighWaterMark, stream.writableObjectMode);
  let go = null;
  return new WritableStream({
    start(controller) {
      finished(stream, { readable: false }, (error) => {
        stream.on("error", () => {});
        if (error) controller.error(error);
        go?.[error ? "reject" : "resolve"](error);
      });
      stream.on("drain", () => go?.resolve());
    },
    async write(chunk) {
      if (stream.write(chunk)) return;
      go = Promise.withResolvers();
      await go.promise;
      go = null;
    },
    close() {
      return new Promise((resolve, reject) => {
        finished(stream, { readable: false }, (error) => (error ? reject(error) : resolve()));
        stream.end();
      });
    },
    abort(reason) { stream.destroy(reason); },
  }, strategy);
}

export function duplexToWeb(stream) {
  return { readable: readableToWeb(stream), writable: writableToWeb(stream) };
}

Object.assign(Readable, { fromWeb: readableFromWeb, toWeb: readableToWeb });
Object.assign(Writable, { fromWeb: writableFromWeb, toWeb: writableToWeb });
Object.assign(Duplex, { fromWeb: duplexFromWeb, toWeb: duplexToWeb });
