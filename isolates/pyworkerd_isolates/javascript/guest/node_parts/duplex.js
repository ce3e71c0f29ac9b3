// Streams of "node:stream" with two sides: Duplex, and Transform whose one side is made of the other.

import { Readable } from "pyworkerd:node_parts/readable";
import { invalidType } from "pyworkerd:node_parts/errors";
import { isIterable, isNodeStream, notImplemented } from "pyworkerd:node_parts/stream_state";
import { finished } from "pyworkerd:node_parts/stream_end";
import { Writable, giveWritable } from "pyworkerd:node_parts/writable";

export function Duplex(options) {
  if (!(this instanceof Duplex)) return new Duplex(options);
  this.allowHalfOpen = options?.allowHalfOpen !== false;
  Readable.call(this, options);
  Writable.call(this, options);
  const { _readableState: read, _writableState: write } = this;
  if (options?.readable === false) {
    read.readable = false;
    read.ended = read.endEmitted = true;
  }
  if (options?.writable === false) {
    write.writable = false;
    write.ending = write.ended = write.finished = true;
  }
}
Object.setPrototypeOf(Duplex.prototype, Readable.prototype);
Object.setPrototypeOf(Duplex, Readable);

const either = (read, write) => ({
  get() { return Boolean(this._readableState?.[read] && this._writableState?.[write]); },
});
Object.defineProperties(Duplex.prototype, {
  destroyed: {
    ...either("destroyed", "destroyed"),
    set(value) {
      for (const state of [this._readableState, this._writableState]) if (state) state.destroyed = value;
    },
    configurable: true,
  },
  closed: { get() { return Boolean(this._readableState?.closed); }, configurable: true },
  destroy: { value: Writable.prototype.destroy, writable: true, configurable: true },
});
giveWritable(Duplex.prototype);

/** A Duplex of what is one already, of a pair of streams, or of what can be read. */
Duplex.from = function from(source) {
  if (source instanceof Duplex) return source;
  if (source !== null && typeof source === "object" && !isNodeStream(source) && (source.readable || source.writable)) {
    return joined(toRead(source.readable), toWrite(source.writable));
  }
  if (isNodeStream(source)) {
    return joined(source._readableState ? source : undefined, source._writableState ? source : undefined);
  }
  if (typeof source === "function") return ofFunction(source);
  if (isIterable(source)) return joined(Readable.from(source), undefined);
  if (typeof source?.then === "function") return joined(Readable.from(once(source)), undefined);
  throw invalidType("stream", "a stream, a pair of them, an iterable, a function or a promise", source);
};

async function* once(promise) {
  const value = await promise;
  if (value !== null && value !== undefined) yield value;
}

const toRead = (side) => (side instanceof ReadableStream ? Readable.fromWeb(side, { objectMode: true }) : side);
const toWrite = (side) => (side instanceof WritableStream ? Writable.fromWeb(side, { objectMode: true }) : side);

// A function that is given what is written, and gives what is read.
function ofFunction(act) {
  const input = new Transform({ objectMode: true, transform: (chunk, _, callback) => callback(null, chunk) });
  const made = act(input);
  if (isIterable(made)) return joined(Readable.from(made), input);
  const output = new Transform({ objectMode: true, transform: (chunk, _, callback) => callback(null, chunk) });
  Promise.resolve(made).then(
    (value) => output.end(value ?? undefined),
    (error) => output.destroy(error),
  );
  return joined(output, input);
}

function joined(read, write) {
  const duplex = new Duplex({
    objectMode: true, readable: read !== undefined, writable: write !== undefined, emitClose: true,
  });
  duplex._readableState.objectMode = read?.readableObjectMode ?? true;
  duplex._writableState.objectMode = write?.writableObjectMode ?? true;
  let goOn = null;
  if (write !== undefined) {
    duplex._write = (chunk, encoding, callback) => {
      if (write.write(chunk, encoding)) callback();
      else write.once("drain", () => callback());
    };
    duplex._final = (callback) => {
      write.end();
      finished(write, { readable: false }, (error) => callback(error));
    };
    finished(write, { readable: false }, (error) => { if (error) duplex.destroy(error); });
  }
  if (read !== undefined) {
    duplex._read = () => {
      for (let chunk = read.read(); chunk !== null; chunk = read.read()) if (!duplex.push(chunk)) return;
      goOn = () => duplex._read();
    };
    read.on("readable", () => {
      const go = goOn;
      goOn = null;
      go?.();
    });
    read.on("end", () => duplex.push(null));
    finished(read, { writable: false }, (error) => { if (error) duplex.destroy(error); });
  }
  duplex._destroy = (error, callback) => {
    for (const side of [read, write]) side?.destroy?.(error);
    callback(error);
  };
  return duplex;
}

const CALLBACK = Symbol("callback");

export function Transform(options) {
  if (!(this instanceof Transform)) return new Transform(options);
  // What is transformed waits for its reader on the writable side.
  Duplex.call(this, options);
  this._readableState.sync = false;
  this[CALLBACK] = null;
  if (typeof options?.transform === "function") this._transform = options.transform;
  if (typeof options?.flush === "function") this._flush = options.flush;
  this.on("prefinish", beforeTheEnd);
}
Object.setPrototypeOf(Transform.prototype, Duplex.prototype);
Object.setPrototypeOf(Transform, Duplex);

function last(callback = undefined) {
  if (typeof this._flush !== "function" || this.destroyed) {
    this.push(null);
    callback?.();
    return;
  }
  this._flush((error, data) => {
    if (error) {
      if (callback) callback(error);
      else this.destroy(error);
      return;
    }
    if (data !== undefined && data !== null) this.push(data);
    this.push(null);
    callback?.();
  });
}

function beforeTheEnd() {
  if (this._final !== last) last.call(this);
}

Object.assign(Transform.prototype, {
  _final: last,

  _transform() { throw notImplemented("_transform()"); },

  _write(chunk, encoding, callback) {
    const { _readableState: read, _writableState: write } = this;
    const before = read.length;
    this._transform(chunk, encoding, (error, value) => {
      if (error) {
        callback(error);
        return;
      }
      if (value !== undefined && value !== null) this.push(value);
      if (write.ended || before === read.length || read.length < read.highWaterMark) callback();
      else this[CALLBACK] = callback;
    });
  },

  _read() {
    const callback = this[CALLBACK];
    if (callback === null) return;
    this[CALLBACK] = null;
    callback();
  },
});

export function PassThrough(options) {
  if (!(this instanceof PassThrough)) return new PassThrough(options);
  Transform.call(this, options);
}
Object.setPrototypeOf(PassThrough.prototype, Transform.prototype);
Object.setPrototypeOf(PassThrough, Transform);
PassThrough.prototype._transform = function (chunk, encoding, callback) {
  callback(null, chunk);
};
