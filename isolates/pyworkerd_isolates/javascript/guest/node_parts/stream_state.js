// What all streams of "node:stream" have in common: the oldest kind of stream, and how one begins, fails and ends.

import EventEmitter from "pyworkerd:node/events";
import { coded, outOfRange } from "pyworkerd:node_parts/errors";
import { inspect } from "pyworkerd:web/inspect";

export const later = (act) => queueMicrotask(act);
const BYTES = 65536;
const OBJECTS = 16;
const CONSTRUCTED = Symbol("constructed");
const DESTROYED = Symbol("destroyed");

let bytesAtMost = BYTES;
let objectsAtMost = OBJECTS;

export function getDefaultHighWaterMark(objectMode) {
  return objectMode ? objectsAtMost : bytesAtMost;
}

export function setDefaultHighWaterMark(objectMode, value) {
  if (!Number.isInteger(value) || value < 0) throw outOfRange("value", "a whole number, and not negative", value);
  if (objectMode) objectsAtMost = value;
  else bytesAtMost = value;
}

/** How much a side of a stream keeps, by the options: `own` is what that option is called for this side of a Duplex. */
export function highWaterMarkOf(state, options, own, isDuplex) {
  const given = options?.highWaterMark ?? (isDuplex ? options?.[own] : undefined);
  if (given === undefined || given === null) return getDefaultHighWaterMark(state.objectMode);
  if (Number.isInteger(given) && given >= 0) return given;
  const name = `options.${isDuplex ? own : "highWaterMark"}`;
  throw coded(TypeError, "ERR_INVALID_ARG_VALUE", `The property '${name}' is invalid. Received ${inspect(given)}`);
}

// Failures ----------------------------------------------------------------------------------------------------------

export const destroyedError = (name) =>
  coded(Error, "ERR_STREAM_DESTROYED", `Cannot call ${name} after a stream was destroyed`);
export const notImplemented = (name) =>
  coded(Error, "ERR_METHOD_NOT_IMPLEMENTED", `The ${name} method is not implemented`);
export const calledTwice = () => coded(Error, "ERR_MULTIPLE_CALLBACK", "Callback called multiple times");
export const closedTooEarly = () => coded(Error, "ERR_STREAM_PREMATURE_CLOSE", "Premature close");

export function abortedBy(signal) {
  const error = coded(Error, "ABORT_ERR", "The operation was aborted");
  error.name = "AbortError";
  if (signal?.reason !== undefined) error.cause = signal.reason;
  return error;
}

/** Two failures of one stream: the second where there is no first. */
export function joinErrors(first, second) {
  if (!first || !second || first === second) return second || first;
  if (Array.isArray(second.errors)) {
    second.errors.push(first);
    return second;
  }
  const both = new AggregateError([second, first], second.message);
  both.code = second.code;
  return both;
}

// The oldest kind ---------------------------------------------------------------------------------------------------

export function Stream(options) {
  EventEmitter.call(this, options);
}
Object.setPrototypeOf(Stream.prototype, EventEmitter.prototype);
Object.setPrototypeOf(Stream, EventEmitter);

/** As in Node.js 0.8: whoever emits "data" can be piped, and is paused while the other side has enough. */
Stream.prototype.pipe = function pipe(to, options = undefined) {
  const onData = (chunk) => {
    if (to.writable && to.write(chunk) === false) this.pause?.();
  };
  const onDrain = () => {
    if (this.readable) this.resume?.();
  };
  let ended = false;
  const onEnd = () => {
    if (!ended) to.end();
    ended = true;
  };
  const onClose = () => {
    if (!ended) to.destroy?.();
    ended = true;
  };
  function onError(error) {
    stop();
    if (this.listenerCount("error") === 0) this.emit("error", error);
  }
  const listening = [
    [this, "data", onData], [to, "drain", onDrain], [this, "end", stop], [this, "close", stop], [to, "close", stop],
  ];
  if (!to._isStdio && options?.end !== false) listening.push([this, "end", onEnd], [this, "close", onClose]);
  for (const [emitter, type, listener] of listening) emitter.on(type, listener);
  for (const emitter of [this, to]) emitter.prependListener("error", onError);
  function stop() {
    for (const [emitter, type, listener] of listening) emitter.removeListener(type, listener);
    for (const emitter of [listening[0][0], to]) emitter.removeListener("error", onError);
  }
  to.emit("pipe", this);
  return to;
};

Stream.prototype.eventNames = function eventNames() {
  return EventEmitter.prototype.eventNames.call(this).filter((name) => this._events[name] !== undefined);
};

// How a stream ends -------------------------------------------------------------------------------------------------

function note(stream, error) {
  if (!error) return;
  void error.stack; // written down now: afterwards it would say where it was caught
  for (const state of [stream._writableState, stream._readableState]) {
    if (state && !state.errored) state.errored = error;
  }
}

const sides = (stream) => [stream._writableState, stream._readableState].filter((state) => state);

function emitError(stream, error) {
  const states = sides(stream);
  if (states.some((state) => state.errorEmitted)) return;
  for (const state of states) state.errorEmitted = true;
  stream.emit("error", error);
}

function emitClose(stream) {
  const states = sides(stream);
  for (const state of states) state.closeEmitted = true;
  if (states.some((state) => state.emitClose)) stream.emit("close");
}

function perform(stream, error, callback) {
  let called = false;
  const done = (failure) => {
    if (called) return;
    called = true;
    note(stream, failure);
    for (const state of sides(stream)) state.closed = true;
    if (typeof callback === "function") callback(failure);
    later(() => {
      if (failure) emitError(stream, failure);
      emitClose(stream);
    });
  };
  try {
    stream._destroy(error || null, done);
  } catch (failure) {
    done(failure);
  }
}

/** The method `destroy` of every stream. */
export function destroy(error = undefined, callback = undefined) {
  const states = sides(this);
  if (states.some((state) => state.destroyed)) {
    if (typeof callback === "function") callback();
    return this;
  }
  note(this, error);
  for (const state of states) state.destroyed = true;
  if (states.every((state) => state.constructed)) perform(this, error, callback);
  else this.once(DESTROYED, (failure) => perform(this, joinErrors(failure, error), callback));
  return this;
}

/** Undoes it, for a stream that is opened again. */
export function undestroy() {
  const common = {
    constructed: true, closed: false, closeEmitted: false, destroyed: false, errored: null, errorEmitted: false,
  };
  const [write, read] = [this._writableState, this._readableState];
  if (read) {
    const ended = read.readable === false;
    Object.assign(read, common, { reading: false, ended, endEmitted: ended });
  }
  if (write) {
    const ended = write.writable === false;
    Object.assign(write, common, { finalCalled: false, prefinished: false, ended, ending: ended, finished: ended });
  }
}

/** A stream failed: it is destroyed where it ends by itself, and else only says so. */
export function fail(stream, error, isSync = false) {
  const states = sides(stream);
  if (states.some((state) => state.destroyed)) return;
  if (states.some((state) => state.autoDestroy)) {
    stream.destroy(error);
  } else if (error) {
    note(stream, error);
    if (isSync) later(() => emitError(stream, error));
    else emitError(stream, error);
  }
}

/** Lets a stream with a `_construct` begin by that; `ready` is told when it has. */
export function construct(stream, ready) {
  if (typeof stream._construct !== "function") return;
  for (const state of sides(stream)) state.constructed = false;
  stream.once(CONSTRUCTED, ready);
  if (stream.listenerCount(CONSTRUCTED) > 1) return; // the other side of a Duplex has it begun
  later(() => {
    let called = false;
    const done = (error) => {
      if (called) {
        fail(stream, error ?? calledTwice());
        return;
      }
      called = true;
      const states = sides(stream);
      for (const state of states) state.constructed = true;
      if (states.some((state) => state.destroyed)) stream.emit(DESTROYED, error);
      else if (error) fail(stream, error, true);
      else stream.emit(CONSTRUCTED);
    };
    try {
      stream._construct((error) => later(() => done(error)));
    } catch (error) {
      later(() => done(error));
    }
  });
}

// What a stream is --------------------------------------------------------------------------------------------------

export const isReadableNode = (value) =>
  typeof value?.pipe === "function" && typeof value.on === "function" &&
  (!value._writableState || value._readableState?.readable !== false) &&
  (!value._writableState || Boolean(value._readableState));
export const isWritableNode = (value) =>
  typeof value?.write === "function" && typeof value.on === "function" &&
  (!value._readableState || value._writableState?.writable !== false);
export const isNodeStream = (value) =>
  Boolean(value) && (Boolean(value._readableState) || Boolean(value._writableState) ||
    (typeof value.on === "function" && (typeof value.write === "function" || typeof value.pipe === "function")));
export const isIterable = (value) =>
  typeof value?.[Symbol.asyncIterator] === "function" || typeof value?.[Symbol.iterator] === "function";
