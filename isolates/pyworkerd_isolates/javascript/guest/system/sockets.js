// WebSockets across the boundary: messages in pieces, with credit both ways. What a worker sees is `workers/websocket`.
//
// Numbers of sockets that the worker makes are odd, those of sockets that it is given are even and the host's. A socket
// takes nothing before it is accepted: it can be handed on until then. Whatever sockets have to say is given out at the
// end of a step, after everything else: so the host knows a socket before it hears of it.

import { decode } from "pyworkerd:system/host";
import { MAX_DUE } from "pyworkerd:system/loop";
import { blob, emit, emitText, room as outboxRoom } from "pyworkerd:system/outbox";
import { concatenate } from "pyworkerd:web/utf8";

export const WINDOW = 65536;
// Bytes in flight per socket, both ways.
export const PIECE = 64;
// Bytes that a piece of a message counts for besides its data.
const STEP_EFFECTS = 4096;
const STEP_BYTES = 2 << 20;
// What sockets give out in one step at most: well below what the host takes. The rest waits for the next one.
const COMPACT = 1024;
// Messages that have left before their places are given back.

const open = new Map();
export const waiting = new Map();
// Sockets that have something to give out, in order.
let next = 1;
let room = 0;
let bytes = 0;
// Of this flush: effects and bytes that are left.

let receiver = null;

// What the ends that programs see make of events: `deliver`, `closed` and `broken`, each given the wire first.
export function setReceiver(methods) {
  receiver = methods;
}

// One socket between the worker and the host. `end` is what the worker sees of it, or null while nobody does;
// `invocation` is whose code its events run.
export class Wire {
  accepted = false;
  closing = null; // code and reason of a close that is still to be given out
  queued = 0; // bytes that wait to be given out
  #messages = [];
  #first = 0;
  #offset = 0;
  #credit = WINDOW;
  #owed = 0;
  #parts = null;
  #size = 0;

  constructor(number, invocation, end = null) {
    this.number = number;
    this.invocation = invocation;
    this.end = end;
    open.set(number, this);
  }

  // Give a message out, as soon as the host has room for it.
  send(data, isText) {
    this.#messages.push({ data, isText });
    this.queued += data.length + PIECE;
    waiting.set(this.number, this);
  }

  // Close, after what was sent before.
  close(code, reason) {
    this.closing = [code, reason];
    waiting.set(this.number, this);
  }

  // Take what comes from now on.
  accept() {
    this.accepted = true;
    this.#owed = WINDOW;
    if (open.has(this.number)) waiting.set(this.number, this);
  }

  // So much of what came has been used up.
  consumed(cost) {
    this.#owed += cost;
    if (this.#owed >= WINDOW / 2 && open.has(this.number)) waiting.set(this.number, this);
  }

  // Whether nothing of it has been touched, so that the host can pass it on by itself.
  handOn() {
    if (this.number % 2 !== 0 || this.accepted || !open.delete(this.number)) return false;
    this.gone();
    return true;
  }

  get isReady() {
    return this.#first < this.#messages.length ? this.#credit > PIECE : this.closing !== null;
  }

  // Give out what there is credit and room for.
  flush() {
    if (this.#owed >= WINDOW / 2 && this.accepted) {
      emitText(`["ws_credit",${this.number},${this.#owed}]`);
      this.#owed = 0;
      room -= 1;
    }
    while (this.#first < this.#messages.length && room > 0 && bytes > 0 && this.#credit > PIECE) this.#sendPiece();
    if (this.#first < this.#messages.length) return;
    this.#forgetMessages();
    if (this.closing !== null && room > 0) {
      emit(["ws_close", this.number, ...this.closing]);
      this.closing = null;
      room -= 1;
    }
  }

  #sendPiece() {
    const { data, isText } = this.#messages[this.#first];
    const size = Math.min(this.#credit - PIECE, data.length - this.#offset);
    const end = this.#offset + size === data.length;
    const piece = size === data.length ? data : data.slice(this.#offset, this.#offset + size);
    emitText(`["ws_send",${this.number},${size > 0 ? blob(piece) : "null"},${isText},${end}]`);
    this.#credit -= size + PIECE;
    room -= 1;
    bytes -= size + PIECE;
    this.#offset += size;
    if (!end) return;
    this.#messages[this.#first++] = null;
    this.#offset = 0;
    this.queued -= data.length + PIECE;
    if (this.#first < COMPACT) return;
    this.#messages.splice(0, this.#first);
    this.#first = 0;
  }

  #forgetMessages() {
    this.#messages = [];
    this.#first = this.#offset = 0;
  }

  // A piece of a message has come. A whole one goes on, with what it costs until it is used up.
  take(data, isText, end) {
    const cost = data.length + PIECE;
    if (!end) {
      (this.#parts ??= []).push(data.slice());
      this.#size += data.length;
      this.consumed(cost);
      return;
    }
    let whole = data;
    if (this.#parts !== null) {
      whole = concatenate([...this.#parts, data], this.#size + data.length);
      this.#parts = null;
      this.#size = 0;
    }
    receiver.deliver(this, isText ? decode(whole) : whole, cost);
  }

  granted(credit) {
    this.#credit += credit;
    if (this.isReady) waiting.set(this.number, this);
  }

  // Nobody uses it any more: what was sent leaves, as far as there is credit for it, and then it is closed.
  cancel() {
    if (!open.delete(this.number)) return;
    this.closing ??= [1001, ""];
    room = STEP_EFFECTS;
    bytes = STEP_BYTES;
    this.flush();
    this.gone();
    if (this.end !== null) receiver.closed(this, 1001, "", false);
  }

  // The invocation that it came for is over.
  abandon() {
    this.cancel();
  }

  // Nothing crosses any more.
  gone() {
    this.#forgetMessages();
    this.#parts = null;
    this.queued = 0;
    waiting.delete(this.number);
    this.invocation?.bodies?.delete(this);
  }
}

// A socket of the worker's own, whose other end leaves with the answer of an invocation.
export function makeWire(invocation, end) {
  const wire = new Wire(next, invocation, end);
  invocation.receives(wire);
  next += 2;
  return wire;
}

export function ownerOf(number) {
  return open.get(number)?.invocation;
}

export function onMessage(number, data, isText, end) {
  const wire = open.get(number);
  if (wire === undefined) return;
  try {
    wire.take(data, isText, end);
  } catch (error) {
    // Most likely for want of memory: this socket cannot go on, others can.
    wire.gone();
    receiver.broken(wire, error);
  }
}

export function onCredit(number, credit) {
  open.get(number)?.granted(credit);
}

export function onClosed(number, code, reason, clean) {
  const wire = open.get(number);
  if (wire === undefined) return;
  open.delete(number);
  wire.gone();
  if (wire.end !== null) receiver.closed(wire, code, reason, clean);
}

// At the end of a step: give out what waits, as much as fits. The numbers of the invocations that have more to say.
export function flush() {
  if (waiting.size === 0) return null;
  room = STEP_EFFECTS;
  bytes = Math.min(STEP_BYTES, outboxRoom());
  for (const [number, wire] of waiting) {
    if (room <= 0 || bytes <= 0) break;
    waiting.delete(number);
    wire.flush();
    if (wire.isReady) waiting.set(number, wire); // there is no more room: the loop ends
  }
  if (waiting.size === 0) return null;
  const numbers = new Set();
  for (const wire of waiting.values()) {
    if (numbers.size === MAX_DUE) break;
    if (wire.invocation !== null) numbers.add(wire.invocation.number);
  }
  return [...numbers].sort((a, b) => a - b);
}
