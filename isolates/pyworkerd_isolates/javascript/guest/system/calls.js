// The only way out: a call names a capability by its index in the worker's own table, and a promise tells what comes.

import { sent } from "pyworkerd:system/lending";
import { needed, run } from "pyworkerd:system/loop";
import * as outbox from "pyworkerd:system/outbox";
import { effectOf, pumpFor } from "pyworkerd:system/sending";
import { crossing, ERRORS } from "pyworkerd:system/values";
import { offAbort, onAbort } from "pyworkerd:web/abort";

const MAX_PENDING = 1000;
// Calls that may wait at once, as on the host, which would refuse one more. Those abandoned in this step still count.
const MAX_METHOD = 256;
const MAX_URL = 16384;
const MAX_HEADER_BYTES = 131072;
const MAX_HEADERS = 256;
// What the host reads (Workers: URL 16 KB, headers 128 KB): beyond it the isolate would end; here the caller hears.
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
// RFC 9110 section 5.5. `Headers` takes more, as Fetch has it.
const NO_URL = /[\0-\x20\x7f]/;
// What a URL may have where its scheme is none of the web's.

const pending = new Map();
let next = 1;

// A capability answered with an error. `code` is the host's stable name for it; `type` that of an error which has a
// name of its own.
export class CallError extends Error {
  #type;
  #reason;

  constructor(message, code = "error", type = null) {
    super(type ? `${type}: ${message}` : message);
    this.code = code;
    this.#type = type;
    this.#reason = message;
  }

  static typeOf(error) {
    return typeof error === "object" && error !== null && #type in error ? error.#type : null;
  }

  // Its sentence without the type.
  static reasonOf(error) {
    return error.#reason;
  }
}
Object.defineProperty(CallError.prototype, "name", { value: "Error", configurable: true, writable: true });

class Pending {
  constructor(invocation, number, resolve, reject) {
    this.invocation = invocation;
    this.number = number;
    this.resolve = resolve;
    this.reject = reject;
    this.signal = null;
    pending.set(number, this);
    invocation.setOf("calls").add(this);
  }

  // Until it is answered; the signal may live as long as the isolate.
  follow(signal) {
    this.signal = signal;
    this.stop = (reason) => {
      this.abandon();
      this.reject(reason);
    };
    onAbort(signal, this.stop);
  }

  #unfollow() {
    if (this.signal !== null) offAbort(this.signal, this.stop);
    this.signal = null;
  }

  // Nobody waits for it any more.
  abandon() {
    this.#unfollow();
    if (pending.delete(this.number)) outbox.abandon(this.number);
    this.invocation.calls.delete(this);
  }

  settle(callback, value) {
    this.#unfollow();
    pending.delete(this.number);
    this.invocation.calls.delete(this);
    run(this.invocation, callback, value);
  }
}

function begin(signal) {
  const invocation = needed();
  signal?.throwIfAborted();
  if (pending.size + outbox.abandoned >= MAX_PENDING) {
    throw new CallError(`more than ${MAX_PENDING} calls wait at once`, "too_many_calls");
  }
  const number = next++;
  const { promise, resolve, reject } = Promise.withResolvers();
  const waiting = new Pending(invocation, number, resolve, reject);
  if (signal) waiting.follow(signal);
  return { number, invocation, promise };
}

// Call a method of a capability, or of a stub. `value` is an encoded list of arguments, or a `Message`; the promise is
// of what it returned.
export function call(capability, method, value) {
  if (value instanceof Uint8Array) return ask(capability, method, value);
  try {
    return ask(capability, method, value);
  } catch (error) {
    value.cancel(error);
    throw error;
  }
}

function ask(capability, method, value) {
  if (method.length > MAX_METHOD) throw new TypeError(`a method's name is longer than ${MAX_METHOD} characters`);
  if (!method.isWellFormed()) throw new TypeError("a method's name has half a surrogate pair");
  outbox.refuseTooMuch(value.length);
  const { number, invocation, promise } = begin();
  const data = value instanceof Uint8Array ? outbox.blob(value) : lend(value, number);
  outbox.emit(["call", number, invocation.number, capability, method, data]);
  if (!(value instanceof Uint8Array)) value.start(invocation);
  return promise;
}

function lend(message, number) {
  const waiting = pending.get(number);
  try {
    return sent(message, waiting.invocation, crossing.numberOf, false);
  } catch (error) {
    pending.delete(number);
    waiting.invocation.calls.delete(waiting);
    throw error;
  }
}

// Send a request through a capability, with a body of `web/body` or null. The promise is of status, headers, body, url.
export function fetchThrough(capability, method, url, headers, body, redirect, signal) {
  if (url.length > MAX_URL || method.length > MAX_METHOD) {
    throw new TypeError(`a URL is longer than ${MAX_URL} characters, or a method longer than ${MAX_METHOD}`);
  }
  if (NO_URL.test(url)) throw new TypeError(`a URL with a space or a control character cannot be fetched: ${url}`);
  const fields = headersText(headers);
  const { number, invocation, promise } = begin(signal);
  const { effect, pump } = effectOf(invocation, body);
  const named = JSON.stringify([capability, method, url]).slice(1, -1);
  outbox.emitText(`["fetch",${number},${invocation.number},${named},${fields},${effect},"${redirect}"]`);
  if (pump !== null) pumpFor(invocation, pump);
  return promise;
}

// Header fields as JSON, checked. Most are those of other answers: their texts are looked up.
export function headersText(headers) {
  let size = 0;
  let text = "";
  for (let i = 0; i < headers.length; i++) {
    const pair = headers[i];
    const name = pair[0];
    const value = pair[1];
    size += name.length + value.length;
    text += `${i === 0 ? "" : ","}[${fieldText(name, name)},${fieldText(value, name)}]`;
  }
  if (headers.length > MAX_HEADERS || size > MAX_HEADER_BYTES) {
    throw new TypeError(`more than ${MAX_HEADERS} header fields, or more than ${MAX_HEADER_BYTES} bytes of them`);
  }
  return `[${text}]`;
}

const fieldTexts = new Map();
const MOST_TEXTS = 256;

function fieldText(value, name) {
  const known = fieldTexts.get(value);
  if (known !== undefined) return known;
  if (!FIELD_VALUE.test(value)) {
    throw new TypeError(`the header ${name} cannot be sent: its value has a control character`);
  }
  const text = JSON.stringify(value);
  if (fieldTexts.size < MOST_TEXTS && value.length < 64) fieldTexts.set(value, text);
  return text;
}

export function find(number) {
  return pending.get(number);
}

export function rejection(code, message, typeName) {
  const kind = Object.hasOwn(ERRORS, typeName ?? "") ? ERRORS[typeName] : undefined;
  if (kind !== undefined) return new kind(message);
  return new CallError(message, code, typeName);
}
