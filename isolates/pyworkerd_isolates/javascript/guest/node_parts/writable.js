// Writable of "node:stream": what is written waits its turn, and a callback each tells when it has had it.

import { Buffer } from "pyworkerd:node/buffer";
import { encodingNamed } from "pyworkerd:node_parts/encodings";
import { coded, invalidType } from "pyworkerd:node_parts/errors";
import { Queue } from "pyworkerd:node_parts/queue";
import {
  Stream, abortedBy, calledTwice, construct, destroy, destroyedError, fail, highWaterMarkOf, later, notImplemented,
  undestroy,
} from "pyworkerd:node_parts/stream_state";

export const CHUNK = "of type string or an instance of Buffer, TypedArray, or DataView";
const nothing = () => {};
const writeAfterEnd = () => coded(Error, "ERR_STREAM_WRITE_AFTER_END", "write after end");

export function WritableState(options, stream, isDuplex) {
  const isObject = Boolean(options?.objectMode) || (isDuplex && Boolean(options?.writableObjectMode));
  if (isObject) this.objectMode = true;
  this.highWaterMark = highWaterMarkOf(this, options, "writableHighWaterMark", isDuplex);
  if (options?.decodeStrings === false) this.decodeStrings = false;
  if (options?.emitClose === false) this.emitClose = false;
  if (options?.autoDestroy === false) this.autoDestroy = false;
  if (options?.defaultEncoding) this.defaultEncoding = options.defaultEncoding;
  this.onwrite = (error) => written(stream, error);
  this.buffered = new Queue();
  this.waiting = [];
}
// Of all: an object of few properties is made quickly.
Object.assign(WritableState.prototype, {
  objectMode: false, decodeStrings: true, emitClose: true, autoDestroy: true, defaultEncoding: "utf8", length: 0,
  writing: false, corked: 0, sync: true, isEmptying: false, finalCalled: false, needDrain: false, ending: false,
  ended: false, finished: false, prefinished: false, destroyed: false, constructed: true, errored: null,
  errorEmitted: false, closed: false, closeEmitted: false, pendingcb: 0, callback: null, size: 0, told: null,
});
WritableState.prototype.getBuffer = function getBuffer() {
  return [...this.buffered];
};
Object.defineProperty(WritableState.prototype, "bufferedRequestCount", {
  get() { return this.buffered.length; },
});

export function Writable(options) {
  // Also one that another class has begun to make, as `Writable.call(this)`.
  const isDuplex = this?._readableState !== undefined;
  if (!isDuplex && !Function.prototype[Symbol.hasInstance].call(Writable, this)) return new Writable(options);
  this._writableState = new WritableState(options, this, isDuplex);
  if (options !== undefined && options !== null) {
    for (const name of ["write", "writev", "destroy", "final", "construct"]) {
      if (typeof options[name] === "function") this[`_${name}`] = options[name];
    }
  }
  if (!isDuplex) {
    Stream.call(this, options);
    if (options?.signal) abortWith(options.signal, this);
  }
  construct(this, () => {
    const state = this._writableState;
    if (!state.writing) empty(this, state);
    finishIfDone(this, state);
  });
}
Object.setPrototypeOf(Writable.prototype, Stream.prototype);
Object.setPrototypeOf(Writable, Stream);

Object.defineProperty(Writable, Symbol.hasInstance, {
  value(object) {
    if (Function.prototype[Symbol.hasInstance].call(this, object)) return true;
    return this === Writable && object?._writableState instanceof WritableState;
  },
});

/** Destroys a stream as soon as a signal is aborted. */
export function abortWith(signal, stream) {
  if (typeof signal !== "object" || !("aborted" in signal)) {
    throw invalidType("signal", "an instance of AbortSignal", signal);
  }
  const stop = () => stream.destroy(abortedBy(signal));
  if (signal.aborted) {
    stop();
  } else {
    signal.addEventListener("abort", stop, { once: true });
    stream.once("close", () => signal.removeEventListener("abort", stop));
  }
  return stream;
}

const sizeOf = (state, chunk) => (state.objectMode ? 1 : chunk.length);

// Answers whether there is room for more, or what is wrong with it.
function add(stream, given, encodingOrCallback, last) {
  const state = stream._writableState;
  const isCallback = typeof encodingOrCallback === "function";
  const callback = isCallback ? encodingOrCallback : (typeof last === "function" ? last : nothing);
  let encoding = isCallback || !encodingOrCallback ? state.defaultEncoding : encodingOrCallback;
  if (encoding !== "buffer" && encodingNamed(encoding) === undefined) {
    throw coded(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${encoding}`);
  }
  let chunk = given;
  if (chunk === null) throw coded(TypeError, "ERR_STREAM_NULL_VALUES", "May not write null values to stream");
  if (!state.objectMode) {
    if (typeof chunk === "string") {
      if (state.decodeStrings) [chunk, encoding] = [Buffer.from(chunk, encoding), "buffer"];
    } else if (ArrayBuffer.isView(chunk)) {
      if (!(chunk instanceof Buffer)) chunk = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      encoding = "buffer";
    } else {
      throw invalidType("chunk", CHUNK, chunk);
    }
  }
  const wrong = state.ending ? writeAfterEnd() : (state.destroyed ? destroyedError("write") : null);
  if (wrong !== null) {
    later(() => callback(wrong));
    fail(stream, wrong, true);
    return wrong;
  }
  state.pendingcb += 1;
  state.length += sizeOf(state, chunk);
  const hasRoom = state.length < state.highWaterMark;
  if (!hasRoom) state.needDrain = true;
  if (state.writing || state.corked > 0 || state.errored || !state.constructed) {
    state.buffered.push({ chunk, encoding, callback });
  } else {
    hand(stream, state, sizeOf(state, chunk), callback, () => stream._write(chunk, encoding, state.onwrite));
  }
  return hasRoom && !state.errored && !state.destroyed;
}

// Hands something to the stream's own method.
function hand(stream, state, size, callback, act) {
  state.size = size;
  state.callback = callback;
  state.writing = true;
  state.sync = true;
  if (state.destroyed) state.onwrite(destroyedError("write"));
  else act();
  state.sync = false;
}

// It has taken what it was handed, or has failed at it.
function written(stream, error) {
  const state = stream._writableState;
  const { callback, sync } = state;
  if (callback === null) {
    fail(stream, calledTwice());
    return;
  }
  state.writing = false;
  state.callback = null;
  state.length -= state.size;
  state.size = 0;
  if (error) {
    void error.stack;
    state.errored ??= error;
    if (stream._readableState && !stream._readableState.errored) stream._readableState.errored = error;
    const tell = () => {
      state.pendingcb -= 1;
      callback(error);
      giveUp(state);
      fail(stream, error);
    };
    if (sync) later(tell);
    else tell();
    return;
  }
  if (state.buffered.length > 0) empty(stream, state);
  if (!sync) {
    told(stream, state, [callback]);
  } else if (state.told !== null) {
    state.told.push(callback);
  } else {
    // What is taken at once is told of together, and not before the caller has gone on.
    state.told = [callback];
    later(() => {
      const callbacks = state.told;
      state.told = null;
      told(stream, state, callbacks);
    });
  }
}

function told(stream, state, callbacks) {
  if (!state.ending && !state.destroyed && state.length === 0 && state.needDrain) {
    state.needDrain = false;
    stream.emit("drain");
  }
  for (const callback of callbacks) {
    state.pendingcb -= 1;
    callback(null);
  }
  if (state.destroyed) giveUp(state);
  finishIfDone(stream, state);
}

// Nothing of what waits will be written.
function giveUp(state) {
  if (state.writing) return;
  for (const { chunk, callback } of state.buffered.takeAll()) {
    state.length -= sizeOf(state, chunk);
    callback(state.errored ?? destroyedError("write"));
  }
  for (const callback of state.waiting.splice(0)) callback(state.errored ?? destroyedError("end"));
}

// What has waited has its turn.
function empty(stream, state) {
  if (state.corked > 0 || state.isEmptying || state.destroyed || !state.constructed) return;
  const { buffered } = state;
  if (buffered.length === 0) return;
  state.isEmptying = true;
  if (buffered.length > 1 && typeof stream._writev === "function") {
    state.pendingcb -= buffered.length - 1;
    const all = buffered.takeAll();
    const tell = (error) => { for (const { callback } of all) callback(error); };
    const chunks = all.map(({ chunk, encoding }) => ({ chunk, encoding }));
    hand(stream, state, state.length, tell, () => stream._writev(chunks, state.onwrite));
  } else {
    while (buffered.length > 0 && !state.writing) {
      const { chunk, encoding, callback } = buffered.shift();
      hand(stream, state, sizeOf(state, chunk), callback, () => stream._write(chunk, encoding, state.onwrite));
    }
  }
  state.isEmptying = false;
}

// The end -----------------------------------------------------------------------------------------------------------

const isDone = (state) =>
  state.ending && !state.destroyed && state.constructed && state.length === 0 && !state.errored &&
  state.buffered.length === 0 && !state.finished && !state.writing && !state.errorEmitted && !state.closeEmitted;

function finishIfDone(stream, state, isSync = false) {
  if (!isDone(state)) return;
  if (!state.prefinished && !state.finalCalled) {
    if (typeof stream._final === "function" && !state.destroyed) {
      state.finalCalled = true;
      callFinal(stream, state);
    } else {
      state.prefinished = true;
      stream.emit("prefinish");
    }
  }
  if (state.pendingcb > 0) return;
  if (isSync) {
    state.pendingcb += 1;
    later(() => {
      if (isDone(state)) finish(stream, state);
      else state.pendingcb -= 1;
    });
  } else if (isDone(state)) {
    state.pendingcb += 1;
    finish(stream, state);
  }
}

function callFinal(stream, state) {
  let called = false;
  let isSync = true;
  const done = (error) => {
    if (called) {
      fail(stream, error ?? calledTwice());
      return;
    }
    called = true;
    state.pendingcb -= 1;
    if (error) {
      for (const callback of state.waiting.splice(0)) callback(error);
      fail(stream, error, isSync);
    } else if (isDone(state)) {
      state.prefinished = true;
      stream.emit("prefinish");
      state.pendingcb += 1;
      later(() => finish(stream, state));
    }
  };
  state.pendingcb += 1;
  try {
    stream._final(done);
  } catch (error) {
    done(error);
  }
  isSync = false;
}

function finish(stream, state) {
  state.pendingcb -= 1;
  state.finished = true;
  for (const callback of state.waiting.splice(0)) callback(null);
  stream.emit("finish");
  if (!state.autoDestroy) return;
  const read = stream._readableState;
  if (!read || (read.autoDestroy && (read.endEmitted || read.readable === false))) stream.destroy();
}

const METHODS = {
  write(chunk, encoding, callback) {
    return add(this, chunk, encoding, callback) === true;
  },

  end(chunk, encoding, callback) {
    const state = this._writableState;
    const values = [chunk, encoding, callback];
    const tell = values.find((value) => typeof value === "function");
    const given = typeof chunk === "function" ? undefined : chunk;
    let wrong = null;
    if (given !== undefined && given !== null) {
      const answered = add(this, given, typeof encoding === "function" ? undefined : encoding);
      if (answered instanceof Error) wrong = answered;
    }
    if (state.corked > 0) {
      state.corked = 1;
      this.uncork();
    }
    if (wrong === null) {
      if (!state.errored && !state.ending) {
        state.ending = true;
        finishIfDone(this, state, true);
        state.ended = true;
      } else if (state.finished) {
        wrong = coded(Error, "ERR_STREAM_ALREADY_FINISHED", "Cannot call end after a stream was finished");
      } else if (state.destroyed) {
        wrong = destroyedError("end");
      }
    }
    if (tell !== undefined) {
      if (wrong !== null) later(() => tell(wrong));
      else if (state.finished) later(() => tell());
      else state.waiting.push(tell);
      if (state.destroyed) later(() => giveUp(state));
    }
    return this;
  },

  cork() {
    this._writableState.corked += 1;
  },

  uncork() {
    const state = this._writableState;
    if (state.corked === 0) return;
    state.corked -= 1;
    if (!state.writing) empty(this, state);
  },

  setDefaultEncoding(encoding) {
    const name = encodingNamed(encoding);
    if (name === undefined) throw coded(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${encoding}`);
    this._writableState.defaultEncoding = name;
    return this;
  },

  _write(chunk, encoding, callback) {
    if (typeof this._writev !== "function") throw notImplemented("_write()");
    this._writev([{ chunk, encoding }], callback);
  },

  destroy(error, callback) {
    const state = this._writableState;
    if (!state.destroyed && (state.buffered.length > 0 || state.waiting.length > 0)) later(() => giveUp(state));
    destroy.call(this, error, callback);
    return this;
  },

  _destroy(error, callback) {
    callback(error);
  },
};
METHODS._undestroy = undestroy;
METHODS[Symbol.for("nodejs.rejection")] = function rejected(error) {
  this.destroy(error);
};

const PROPERTIES = {
  writable: {
    get() {
      const state = this._writableState;
      return Boolean(state) && state.writable !== false && !state.destroyed && !state.errored && !state.ending &&
        !state.ended;
    },
    set(value) { if (this._writableState) this._writableState.writable = Boolean(value); },
  },
  destroyed: {
    get() { return Boolean(this._writableState?.destroyed); },
    set(value) { if (this._writableState) this._writableState.destroyed = value; },
  },
  writableFinished: { get() { return Boolean(this._writableState?.finished); } },
  writableObjectMode: { get() { return Boolean(this._writableState?.objectMode); } },
  writableBuffer: { get() { return this._writableState?.getBuffer(); } },
  writableEnded: { get() { return Boolean(this._writableState?.ending); } },
  writableNeedDrain: {
    get() {
      const state = this._writableState;
      return Boolean(state) && !state.destroyed && !state.ending && state.needDrain;
    },
  },
  writableHighWaterMark: { get() { return this._writableState?.highWaterMark; } },
  writableCorked: { get() { return this._writableState?.corked ?? 0; } },
  writableLength: { get() { return this._writableState?.length; } },
  writableAborted: {
    get() {
      const state = this._writableState;
      return state.writable !== false && Boolean(state.destroyed || state.errored) && !state.finished;
    },
  },
  errored: { get() { return this._writableState?.errored ?? null; } },
  closed: { get() { return Boolean(this._writableState?.closed); } },
};

/** Gives a prototype the methods and properties of a side of a stream, those that it has not. */
export function give(prototype, methods, properties) {
  for (const name of Reflect.ownKeys(methods)) {
    if (Object.hasOwn(prototype, name)) continue;
    Object.defineProperty(prototype, name, { value: methods[name], writable: true, configurable: true });
  }
  for (const [name, property] of Object.entries(properties)) {
    if (!Object.hasOwn(prototype, name)) Object.defineProperty(prototype, name, { configurable: true, ...property });
  }
}

give(Writable.prototype, METHODS, PROPERTIES);
Writable.prototype.pipe = function pipe() {
  fail(this, coded(Error, "ERR_STREAM_CANNOT_PIPE", "Cannot pipe, not readable"));
};

/** The writable side, for a stream that is readable, too. */
export const giveWritable = (prototype) => give(prototype, METHODS, PROPERTIES);
Writable.WritableState = WritableState;
