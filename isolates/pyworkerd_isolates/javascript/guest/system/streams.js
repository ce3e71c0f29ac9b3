// Byte streams across the boundary, with credit: nobody is sent more than was asked for.
// Numbers of inbound streams are the host's, those of outbound streams the guest's.

import { running } from "pyworkerd:system/invocation";
import { current, MAX_DUE, run, soon } from "pyworkerd:system/loop";
import { blob, emit, roomForPiece } from "pyworkerd:system/outbox";

export const WINDOW = 262144;
// Bytes in flight per stream, as on the host.
const CHUNK = 65536;
const KEPT = "this body came for a request that is over: read a body before its request's handler is done, "
  + "and keep the bytes";
// What a reader hears who comes, or waits, when the invocation is over.

const inbound = new Map();
const outbound = new Map();
let nextOutbound = 1;
export let crowded = new Set();
// Outbound streams that wait for the next step, since this one has no more room.

// A body that the host sends. One reader at a time; the host sends nothing before the first read.
export class Inbound {
  #number;
  #invocation;
  #asked = false;
  #chunks = [];
  #ended = false;
  #error = null;
  #waiting = null;
  #reader = null; // the invocation whose code waits
  #unacknowledged = 0;

  constructor(number, invocation) {
    this.#number = number;
    this.#invocation = invocation;
    inbound.set(number, this);
    invocation.receives(this);
  }

  get invocation() {
    return this.#invocation;
  }

  // The next chunk; null at the end.
  read() {
    if (!this.#asked && !this.#ended) {
      this.#asked = true;
      emit(["pull", this.#number, WINDOW]);
    }
    if (this.#chunks.length > 0) return Promise.resolve(this.#take());
    if (this.#error !== null) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve(null);
    if (this.#waiting !== null) return Promise.reject(new TypeError("two readers wait for the same body"));
    this.#waiting = Promise.withResolvers();
    this.#reader = current;
    return this.#waiting.promise;
  }

  #take() {
    const chunk = this.#chunks.shift();
    this.#unacknowledged += chunk.length;
    if (this.#unacknowledged >= WINDOW / 2 && !this.#ended) {
      emit(["pull", this.#number, this.#unacknowledged]);
      this.#unacknowledged = 0;
    }
    return chunk;
  }

  // The number of a body that nobody has begun to read, for the host to pass on by itself; else null.
  handOn() {
    if (this.#asked || this.#ended || !this.#leaves()) return null;
    this.#ended = this.#asked = true;
    return this.#number;
  }

  // Say that no more will be read.
  cancel() {
    if (this.#leaves() && !this.#ended) emit(["stop", this.#number]);
    this.#ended = true;
    this.#chunks = [];
  }

  // The invocation that it came for is over, and so is all that has not come: whoever reads it hears that, and another
  // invocation that waits for it now. What the invocation itself waits for does not go on after its end.
  abandon() {
    if (!this.#leaves()) return;
    emit(["stop", this.#number]);
    this.#chunks = [];
    this.#error = new TypeError(KEPT);
    if (this.#waiting !== null && this.#isOfAnother()) this.#wake();
  }

  #isOfAnother() {
    return this.#reader !== null && this.#reader !== this.#invocation;
  }

  take(data, end) {
    if (data !== null) this.#chunks.push(data);
    if (end) {
      this.#ended = true;
      this.#leaves();
    }
    this.#wake();
  }

  fail(message) {
    this.#leaves();
    this.#error = new TypeError(message);
    this.#wake();
  }

  // Nothing comes of it any more. An invocation of long life need not remember it.
  #leaves() {
    this.#invocation.bodies?.delete(this);
    return inbound.delete(this.#number);
  }

  #wake() {
    const waiting = this.#waiting;
    if (waiting === null) return;
    let { resolve: settle } = waiting;
    let value = null;
    if (this.#chunks.length > 0) value = this.#take();
    else if (this.#error !== null) {
      settle = waiting.reject;
      value = this.#error;
    } else if (!this.#ended) return;
    this.#waiting = null;
    if (this.#isOfAnother()) soon(this.#reader, () => settle(value));
    else run(this.#invocation, settle, value);
  }
}

export function onData(number, data, end) {
  inbound.get(number)?.take(data, end);
}

export function onError(number, message) {
  inbound.get(number)?.fail(message);
}

// The invocations that bodies belong to, by number: of those that come in, and of those that are sent.
export function receiverOf(number) {
  return inbound.get(number)?.invocation;
}

export function senderOf(number) {
  return outbound.get(number)?.invocation;
}

// A body that the worker sends.
export class Outbound {
  #invocation;
  #credit = WINDOW;
  #waiting = null;
  stopped = false;
  onStop = null;

  constructor(invocation) {
    this.number = nextOutbound++;
    this.#invocation = invocation;
    outbound.set(this.number, this);
  }

  // Send bytes as credit allows. Throws once the reader has gone.
  async write(data) {
    for (let at = 0; at < data.length; ) {
      while (!this.stopped && (this.#credit <= 0 || roomForPiece() <= 0)) {
        if (this.#credit > 0) crowded.add(this);
        this.#waiting = Promise.withResolvers();
        await this.#waiting.promise;
      }
      if (this.stopped) throw new TypeError("the reader of this body has gone");
      const piece = data.slice(at, at + Math.min(CHUNK, this.#credit, roomForPiece()));
      this.#credit -= piece.length;
      at += piece.length;
      emit(["data", this.number, blob(piece), false]);
    }
  }

  get invocation() {
    return this.#invocation;
  }

  // There is room again.
  resume() {
    this.#wake();
  }

  // Nobody was told of this body.
  forget() {
    outbound.delete(this.number);
  }

  finish() {
    if (outbound.delete(this.number) && !this.stopped) emit(["data", this.number, null, true]);
  }

  fail(message) {
    if (outbound.delete(this.number) && !this.stopped) emit(["error", this.number, message]);
  }

  pull(credit) {
    this.#credit += credit;
    this.#wake();
  }

  stop() {
    outbound.delete(this.number);
    crowded.delete(this);
    this.stopped = true;
    this.#wake();
    if (this.onStop !== null) run(this.#invocation, this.onStop);
  }

  #wake() {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) run(this.#invocation, waiting.resolve);
  }
}

// Go on with the bodies of these invocations (null: of all) that the step before had no room for.
export function resume(focus) {
  if (crowded.size === 0) return;
  const before = crowded;
  crowded = new Set();
  for (const each of before) {
    const { number } = each.invocation;
    if (focus === null || focus.has(number) || !running.has(number)) each.resume();
    else crowded.add(each);
  }
}

// The numbers of the invocations whose bodies wait for the next step; null if there are none.
export function held() {
  if (crowded.size === 0) return null;
  return [...new Set(Array.from(crowded, (each) => each.invocation.number))].slice(0, MAX_DUE);
}

export function onPull(number, credit) {
  outbound.get(number)?.pull(credit);
}

export function onStop(number) {
  outbound.get(number)?.stop();
}
