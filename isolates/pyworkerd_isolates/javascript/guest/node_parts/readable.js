// Readable of "node:stream": what comes is kept up to a mark, and taken with `read`, by events, pipes or iteration.

import { Buffer } from "pyworkerd:node/buffer";
import EventEmitter from "pyworkerd:node/events";
import { StringDecoder } from "pyworkerd:node/string_decoder";
import { encodingNamed } from "pyworkerd:node_parts/encodings";
import { coded, invalidType, outOfRange } from "pyworkerd:node_parts/errors";
import { Queue } from "pyworkerd:node_parts/queue";
import { finished } from "pyworkerd:node_parts/stream_end";
import { iterate, streamOf } from "pyworkerd:node_parts/stream_iteration";
import { pipe, unpipe } from "pyworkerd:node_parts/stream_pipe";
import {
  Stream, construct, destroy, fail, highWaterMarkOf, later, notImplemented, undestroy,
} from "pyworkerd:node_parts/stream_state";
import { CHUNK, abortWith, give } from "pyworkerd:node_parts/writable";

const { on: listen, off: stopListening, removeAllListeners: stopAll } = EventEmitter.prototype;
const MOST_AT_ONCE = 1 << 30;

export function ReadableState(options, isDuplex) {
  if (options?.objectMode || (isDuplex && options?.readableObjectMode)) this.objectMode = true;
  this.highWaterMark = highWaterMarkOf(this, options, "readableHighWaterMark", isDuplex);
  this.buffer = new Queue();
  this.pipes = [];
  if (options?.emitClose === false) this.emitClose = false;
  if (options?.autoDestroy === false) this.autoDestroy = false;
  if (options?.defaultEncoding) this.defaultEncoding = options.defaultEncoding;
  if (options?.encoding) {
    this.decoder = new StringDecoder(options.encoding);
    this.encoding = options.encoding;
  }
}
// Of all: an object of few properties is made quickly.
Object.assign(ReadableState.prototype, {
  objectMode: false, length: 0, flowing: null, ended: false, endEmitted: false, reading: false, constructed: true,
  sync: true, needReadable: false, emittedReadable: false, readableListening: false, resumeScheduled: false,
  isPaused: false, errorEmitted: false, emitClose: true, autoDestroy: true, destroyed: false, errored: null,
  closed: false, closeEmitted: false, defaultEncoding: "utf8", waitsFor: null, readingMore: false, dataEmitted: false,
  decoder: null, encoding: null,
});
Object.defineProperty(ReadableState.prototype, "pipesCount", { get() { return this.pipes.length; } });

export function Readable(options) {
  if (!(this instanceof Readable)) return new Readable(options);
  this._readableState = new ReadableState(options, this.allowHalfOpen !== undefined);
  if (options !== undefined && options !== null) {
    for (const name of ["read", "destroy", "construct"]) {
      if (typeof options[name] === "function") this[`_${name}`] = options[name];
    }
  }
  Stream.call(this, options);
  if (options?.signal) abortWith(options.signal, this);
  construct(this, () => {
    if (this._readableState.needReadable) emitReadable(this, this._readableState);
  });
}
Object.setPrototypeOf(Readable.prototype, Stream.prototype);
Object.setPrototypeOf(Readable, Stream);

// What comes --------------------------------------------------------------------------------------------------------

function take(stream, given, encoding, isFront) {
  const state = stream._readableState;
  if (given === null) {
    state.reading = false;
    noMore(stream, state);
    return false;
  }
  let chunk = given;
  let isText = false;
  if (!state.objectMode) {
    if (typeof chunk === "string") {
      const name = encoding || state.defaultEncoding;
      if (state.encoding !== name) {
        chunk = Buffer.from(chunk, name);
        if (isFront && state.encoding) chunk = chunk.toString(state.encoding);
      } else {
        isText = true; // it is as it is wanted
      }
    } else if (ArrayBuffer.isView(chunk)) {
      if (!(chunk instanceof Buffer)) chunk = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    } else if (chunk !== undefined) {
      fail(stream, invalidType("chunk", CHUNK, chunk));
      return false;
    }
  }
  const isSomething = state.objectMode || chunk?.length > 0;
  if (isSomething && isFront) {
    if (state.endEmitted) {
      fail(stream, coded(Error, "ERR_STREAM_UNSHIFT_AFTER_END_EVENT", "stream.unshift() after end event"));
      return false;
    }
    if (state.destroyed || state.errored) return false;
    keep(stream, state, chunk, true);
  } else if (isSomething && state.ended) {
    fail(stream, coded(Error, "ERR_STREAM_PUSH_AFTER_EOF", "stream.push() after EOF"));
    return false;
  } else if (isSomething) {
    if (state.destroyed || state.errored) return false;
    state.reading = false;
    if (state.decoder !== null && !isText) chunk = state.decoder.write(chunk);
    if (state.objectMode || chunk.length > 0) keep(stream, state, chunk, false);
    else readMore(stream, state);
  } else if (!isFront) {
    state.reading = false;
    readMore(stream, state);
  }
  return !state.ended && (state.length < state.highWaterMark || state.length === 0);
}

function keep(stream, state, chunk, isFront) {
  if (state.flowing && state.length === 0 && !state.sync && stream.listenerCount("data") > 0) {
    state.waitsFor = null;
    state.dataEmitted = true;
    stream.emit("data", chunk);
  } else {
    state.length += state.objectMode ? 1 : chunk.length;
    if (isFront) state.buffer.unshift(chunk);
    else state.buffer.push(chunk);
    if (state.needReadable) emitReadable(stream, state);
  }
  readMore(stream, state);
}

function noMore(stream, state) {
  if (state.ended) return;
  const rest = state.decoder?.end();
  if (rest) {
    state.buffer.push(rest);
    state.length += state.objectMode ? 1 : rest.length;
  }
  state.ended = true;
  if (state.sync) {
    emitReadable(stream, state);
  } else {
    state.needReadable = false;
    state.emittedReadable = true;
    tellReadable(stream, state);
  }
}

function emitReadable(stream, state) {
  state.needReadable = false;
  if (state.emittedReadable) return;
  state.emittedReadable = true;
  later(() => tellReadable(stream, state));
}

function tellReadable(stream, state) {
  if (!state.destroyed && !state.errored && (state.length > 0 || state.ended)) {
    stream.emit("readable");
    state.emittedReadable = false;
  }
  state.needReadable = !state.flowing && !state.ended && state.length <= state.highWaterMark;
  flow(stream, state);
}

function readMore(stream, state) {
  if (state.readingMore || !state.constructed) return;
  state.readingMore = true;
  later(() => {
    while (
      !state.reading && !state.ended &&
      (state.length < state.highWaterMark || (state.flowing && state.length === 0))
    ) {
      const before = state.length;
      stream.read(0);
      if (state.length === before) break;
    }
    state.readingMore = false;
  });
}

function flow(stream, state) {
  while (state.flowing && stream.read() !== null);
}

// What is taken -----------------------------------------------------------------------------------------------------

function countOf(wanted, state) {
  if (wanted <= 0 || (state.length === 0 && state.ended)) return 0;
  if (state.objectMode) return 1;
  if (Number.isNaN(wanted)) return state.flowing && state.length > 0 ? state.buffer.first.length : state.length;
  if (wanted <= state.length) return wanted;
  return state.ended ? state.length : 0;
}

function taken(count, state) {
  const { buffer } = state;
  if (state.length === 0) return null;
  if (state.objectMode) return buffer.shift();
  if (!count || count >= state.length) {
    const all = buffer.takeAll();
    return state.decoder !== null ? all.join("") : (all.length === 1 ? all[0] : Buffer.concat(all, state.length));
  }
  if (count === buffer.first.length) return buffer.shift();
  const parts = [];
  for (let left = count; left > 0; ) {
    const { first } = buffer;
    if (first.length <= left) {
      parts.push(buffer.shift());
      left -= first.length;
    } else {
      parts.push(first.slice(0, left));
      buffer.first = first.slice(left);
      left = 0;
    }
  }
  if (state.decoder !== null) return parts.join("");
  return parts.length === 1 ? parts[0] : Buffer.concat(parts, count);
}

function read(given = undefined) {
  const state = this._readableState;
  const wanted = given === undefined ? NaN : Number.isInteger(given) ? given : Number.parseInt(given, 10);
  if (wanted > MOST_AT_ONCE) throw outOfRange("size", "<= 1GiB", wanted);
  if (wanted > state.highWaterMark) state.highWaterMark = 2 ** Math.ceil(Math.log2(wanted));
  if (wanted !== 0) state.emittedReadable = false;
  const isFull = state.highWaterMark > 0 ? state.length >= state.highWaterMark : state.length > 0;
  if (wanted === 0 && state.needReadable && (isFull || state.ended)) {
    if (state.length === 0 && state.ended) end(this, state);
    else emitReadable(this, state);
    return null;
  }
  let count = countOf(wanted, state);
  if (count === 0 && state.ended) {
    if (state.length === 0) end(this, state);
    return null;
  }
  const isLow = state.needReadable || state.length === 0 || state.length - count < state.highWaterMark;
  const mayAsk = !state.ended && !state.reading && !state.destroyed && !state.errored && state.constructed;
  if (isLow && mayAsk) {
    state.reading = true;
    state.sync = true;
    if (state.length === 0) state.needReadable = true;
    try {
      this._read(state.highWaterMark);
    } catch (error) {
      fail(this, error);
    }
    state.sync = false;
    if (!state.reading) count = countOf(wanted, state);
  }
  const chunk = count > 0 ? taken(count, state) : null;
  if (chunk === null) {
    state.needReadable = state.length <= state.highWaterMark;
    count = 0;
  } else {
    state.length -= count;
    state.waitsFor = null;
  }
  if (state.length === 0) {
    if (!state.ended) state.needReadable = true;
    if (wanted !== count && state.ended) end(this, state);
  }
  if (chunk !== null && !state.errorEmitted && !state.closeEmitted) {
    state.dataEmitted = true;
    this.emit("data", chunk);
  }
  return chunk;
}

function end(stream, state) {
  if (state.endEmitted) return;
  state.ended = true;
  later(() => {
    if (state.errored || state.closeEmitted || state.endEmitted || state.length > 0) return;
    state.endEmitted = true;
    stream.emit("end");
    if (stream.writable && stream.allowHalfOpen === false) {
      later(() => {
        if (stream.writable && !stream.writableEnded && !stream.destroyed) stream.end();
      });
    } else if (state.autoDestroy) {
      const write = stream._writableState;
      if (!write || (write.autoDestroy && (write.finished || write.writable === false))) stream.destroy();
    }
  });
}

// Events ------------------------------------------------------------------------------------------------------------

function on(type, listener) {
  const answer = listen.call(this, type, listener);
  const state = this._readableState;
  if (type === "data") {
    state.readableListening = this.listenerCount("readable") > 0;
    if (state.flowing !== false) this.resume();
  } else if (type === "readable" && !state.endEmitted && !state.readableListening) {
    state.readableListening = state.needReadable = true;
    state.flowing = false;
    state.emittedReadable = false;
    if (state.length > 0) emitReadable(this, state);
    else if (!state.reading) later(() => this.read(0));
  }
  return answer;
}

function heedListeners(stream) {
  const state = stream._readableState;
  state.readableListening = stream.listenerCount("readable") > 0;
  if (state.resumeScheduled && !state.isPaused) state.flowing = true;
  else if (stream.listenerCount("data") > 0) stream.resume();
  else if (!state.readableListening) state.flowing = null;
}

function removeListener(type, listener) {
  const answer = stopListening.call(this, type, listener);
  if (type === "readable") later(() => heedListeners(this));
  return answer;
}

function resume() {
  const state = this._readableState;
  if (!state.flowing) {
    state.flowing = !state.readableListening;
    if (!state.resumeScheduled) {
      state.resumeScheduled = true;
      later(() => {
        if (!state.reading) this.read(0);
        state.resumeScheduled = false;
        this.emit("resume");
        flow(this, state);
        if (state.flowing && !state.reading) this.read(0);
      });
    }
  }
  state.isPaused = false;
  return this;
}

const METHODS = {
  push(chunk, encoding = undefined) { return take(this, chunk, encoding, false); },
  unshift(chunk, encoding = undefined) { return take(this, chunk, encoding, true); },
  isPaused() { return this._readableState.isPaused || this._readableState.flowing === false; },

  setEncoding(encoding) {
    const state = this._readableState;
    state.decoder = new StringDecoder(encoding);
    state.encoding = encodingNamed(state.decoder.encoding);
    const text = state.buffer.takeAll().map((chunk) => state.decoder.write(chunk)).join("");
    if (text !== "") state.buffer.push(text);
    state.length = text.length;
    return this;
  },

  read, pipe, unpipe, on, addListener: on, removeListener, off: removeListener, resume,

  removeAllListeners(...types) {
    const answer = stopAll.apply(this, types);
    if (types[0] === "readable" || types[0] === undefined) later(() => heedListeners(this));
    return answer;
  },

  pause() {
    const state = this._readableState;
    if (state.flowing !== false) {
      state.flowing = false;
      this.emit("pause");
    }
    state.isPaused = true;
    return this;
  },

  /** Reads a stream of the oldest kind, that has events and nothing else. */
  wrap(old) {
    let isPaused = false;
    old.on("data", (chunk) => {
      if (!this.push(chunk) && old.pause) {
        isPaused = true;
        old.pause();
      }
    });
    old.on("end", () => this.push(null));
    old.on("error", (error) => fail(this, error));
    old.on("close", () => this.destroy());
    old.on("destroy", () => this.destroy());
    this._read = () => {
      if (isPaused && old.resume) {
        isPaused = false;
        old.resume();
      }
    };
    for (const name of Object.keys(old)) {
      if (this[name] === undefined && typeof old[name] === "function") this[name] = old[name].bind(old);
    }
    return this;
  },

  iterator(options = undefined) { return iterate(this, options); },
  _read() { throw notImplemented("_read()"); },
  _destroy(error, callback) { callback(error); },
  _undestroy: undestroy,
  destroy,
};
METHODS[Symbol.asyncIterator] = function () { return iterate(this); };
METHODS[Symbol.for("nodejs.rejection")] = function rejected(error) { this.destroy(error); };
if (Symbol.asyncDispose) {
  METHODS[Symbol.asyncDispose] = function () {
    this.destroy();
    return new Promise((resolve) => { finished(this, () => resolve(null)); });
  };
}

const PROPERTIES = {
  readable: {
    get() {
      const state = this._readableState;
      return Boolean(state) && state.readable !== false && !state.destroyed && !state.errorEmitted && !state.endEmitted;
    },
    set(value) { if (this._readableState) this._readableState.readable = Boolean(value); },
  },
  readableDidRead: { get() { return this._readableState.dataEmitted; } },
  readableAborted: {
    get() {
      const state = this._readableState;
      return state.readable !== false && Boolean(state.destroyed || state.errored) && !state.endEmitted;
    },
  },
  readableHighWaterMark: { get() { return this._readableState.highWaterMark; } },
  readableBuffer: { get() { return [...this._readableState.buffer]; } },
  readableFlowing: {
    get() { return this._readableState.flowing; },
    set(value) { if (this._readableState) this._readableState.flowing = value; },
  },
  readableLength: { get() { return this._readableState.length; } },
  readableObjectMode: { get() { return Boolean(this._readableState?.objectMode); } },
  readableEncoding: { get() { return this._readableState?.encoding ?? null; } },
  readableEnded: { get() { return Boolean(this._readableState?.endEmitted); } },
  errored: { get() { return this._readableState?.errored ?? null; } },
  closed: { get() { return Boolean(this._readableState?.closed); } },
  destroyed: {
    get() { return Boolean(this._readableState?.destroyed); },
    set(value) { if (this._readableState) this._readableState.destroyed = value; },
  },
};
give(Readable.prototype, METHODS, PROPERTIES);
Readable.ReadableState = ReadableState;

Readable.from = streamOf;

Readable.wrap = function wrap(source, options = undefined) {
  const objectMode = source.readableObjectMode ?? source.objectMode ?? true;
  return new Readable({
    objectMode,
    ...options,
    destroy(error, callback) {
      source.destroy?.(error);
      callback(error);
    },
  }).wrap(source);
};
