// The module "node:events" (https://nodejs.org/api/events.html).

import { offAbort, onAbort, signalOf } from "pyworkerd:web/abort";
import { coded, invalidType, outOfRange, requireFunction } from "pyworkerd:node_parts/errors";
import { inspect } from "pyworkerd:web/inspect";

export const errorMonitor = Symbol("events.errorMonitor");
export const captureRejectionSymbol = Symbol.for("nodejs.rejection");
export let defaultMaxListeners = 10;
export let captureRejections = false;

// A function and no class: programs of before 2015 call it on objects of their own.
export function EventEmitter(options = undefined) {
  EventEmitter.init.call(this, options);
}

EventEmitter.init = function init(options) {
  if (this._events === undefined || this._events === Object.getPrototypeOf(this)._events) {
    this._events = Object.create(null);
    this._eventsCount = 0;
  }
  this._maxListeners ||= undefined;
  const capture = options?.captureRejections;
  if (capture !== undefined && typeof capture !== "boolean") {
    throw invalidType("options.captureRejections", "of type boolean", capture);
  }
  this[CAPTURES] = capture ?? captureRejections;
};

const CAPTURES = Symbol("captures rejections");

EventEmitter.prototype._events = undefined;
EventEmitter.prototype._eventsCount = 0;
EventEmitter.prototype._maxListeners = undefined;

function listenersOf(emitter, type) {
  return emitter._events?.[type] ?? NONE;
}

const NONE = Object.freeze([]);

function add(emitter, type, listener, first) {
  requireFunction(listener, "listener");
  if (emitter._events === undefined) EventEmitter.init.call(emitter);
  if (emitter._events.newListener !== undefined) emitter.emit("newListener", type, listener.listener ?? listener);
  const before = emitter._events[type];
  if (before === undefined) emitter._eventsCount += 1;
  const listeners = before === undefined ? [listener] : first ? [listener, ...before] : [...before, listener];
  emitter._events[type] = listeners;
  const most = emitter.getMaxListeners();
  if (most > 0 && listeners.length > most && !warned(emitter).has(type)) {
    warned(emitter).add(type);
    const name = emitter.constructor?.name ?? "EventEmitter";
    console.error(
      `MaxListenersExceededWarning: Possible EventEmitter memory leak detected. ${listeners.length} ${String(type)} ` +
        `listeners added to ${name}. MaxListeners is ${most}. Use emitter.setMaxListeners() to increase limit`,
    );
  }
  return emitter;
}

const warnings = new WeakMap();
function warned(emitter) {
  if (!warnings.has(emitter)) warnings.set(emitter, new Set());
  return warnings.get(emitter);
}

function onceOf(emitter, type, listener) {
  requireFunction(listener, "listener");
  let fired = false;
  const wrapped = (...values) => {
    if (fired) return undefined;
    fired = true;
    emitter.removeListener(type, wrapped);
    return listener.apply(emitter, values);
  };
  wrapped.listener = listener;
  return wrapped;
}

function rejectedBy(emitter, error, type, values) {
  const handler = emitter[captureRejectionSymbol];
  if (typeof handler === "function") handler.call(emitter, error, type, ...values);
  else emitter.emit("error", error);
}

function noListenerFor(error) {
  if (error instanceof Error) return error;
  const unhandled = coded(Error, "ERR_UNHANDLED_ERROR", `Unhandled error. (${inspect(error)})`);
  unhandled.context = error;
  return unhandled;
}

const METHODS = {
  on(type, listener) { return add(this, type, listener, false); },
  once(type, listener) { return this.on(type, onceOf(this, type, listener)); },
  prependListener(type, listener) { return add(this, type, listener, true); },
  prependOnceListener(type, listener) { return this.prependListener(type, onceOf(this, type, listener)); },

  removeListener(type, listener) {
    requireFunction(listener, "listener");
    const listeners = listenersOf(this, type);
    const at = listeners.findLastIndex((each) => each === listener || each.listener === listener);
    if (at < 0) return this;
    const removed = listeners[at];
    if (listeners.length > 1) this._events[type] = listeners.toSpliced(at, 1);
    else {
      delete this._events[type];
      this._eventsCount -= 1;
    }
    if (this._events.removeListener !== undefined) this.emit("removeListener", type, removed.listener ?? removed);
    return this;
  },

  removeAllListeners(type = undefined) {
    const types = arguments.length === 0 ? this.eventNames() : [type];
    if (this._events?.removeListener === undefined) {
      for (const each of types) {
        if (this._events !== undefined && delete this._events[each]) this._eventsCount = this.eventNames().length;
      }
      return this;
    }
    // Who listens for that hears of all others first.
    const ordered = types.filter((each) => each !== "removeListener");
    for (const each of types.length > ordered.length ? [...ordered, "removeListener"] : ordered) {
      for (const listener of listenersOf(this, each).toReversed()) this.removeListener(each, listener);
    }
    return this;
  },

  emit(type, ...values) {
    if (type === "error") {
      if (listenersOf(this, errorMonitor).length > 0) this.emit(errorMonitor, ...values);
      if (listenersOf(this, "error").length === 0) throw noListenerFor(values[0]);
    }
    const listeners = listenersOf(this, type);
    for (const listener of listeners) {
      const answer = listener.apply(this, values);
      if (this[CAPTURES] && typeof answer?.then === "function") {
        answer.then(undefined, (error) => rejectedBy(this, error, type, values));
      }
    }
    return listeners.length > 0;
  },

  setMaxListeners(most) {
    this._maxListeners = checkedCount(most, "setMaxListeners");
    return this;
  },
  getMaxListeners() { return this._maxListeners ?? defaultMaxListeners; },
  listeners(type) { return listenersOf(this, type).map((each) => each.listener ?? each); },
  rawListeners(type) { return [...listenersOf(this, type)]; },
  listenerCount(type, listener = undefined) {
    if (listener === undefined) return listenersOf(this, type).length;
    return listenersOf(this, type).filter((each) => each === listener || each.listener === listener).length;
  },
  eventNames() { return this._events === undefined ? [] : Reflect.ownKeys(this._events); },
};
METHODS.addListener = METHODS.on;
METHODS.off = METHODS.removeListener;
for (const [name, value] of Object.entries(METHODS)) {
  Object.defineProperty(EventEmitter.prototype, name, { value, writable: true, enumerable: true, configurable: true });
}

function checkedCount(most, name) {
  if (typeof most !== "number" || !(most >= 0)) throw outOfRange(name, ">= 0", most);
  return most;
}

const isEmitter = (value) => typeof value?.on === "function";

// Listen to an emitter or to an EventTarget. Answers a function that listens no more.
function listen(target, type, listener, once = false) {
  if (isEmitter(target)) {
    if (once) target.once(type, listener);
    else target.on(type, listener);
    return () => target.removeListener(type, listener);
  }
  if (typeof target?.addEventListener !== "function") {
    throw invalidType("emitter", "an instance of EventEmitter or EventTarget", target);
  }
  target.addEventListener(type, listener, { once });
  return () => target.removeEventListener(type, listener);
}

function aborted(signal) {
  const error = coded(Error, "ABORT_ERR", "The operation was aborted");
  error.name = "AbortError";
  error.cause = signal.reason;
  return error;
}

/** A promise of the values of the next event of this type; "error" rejects it. */
export async function once(emitter, type, options = undefined) {
  const signal = signalOf(options, "events.once");
  if (signal?.aborted) throw aborted(signal);
  const { promise, resolve, reject } = Promise.withResolvers();
  const stops = [listen(emitter, type, (...values) => resolve(values), true)];
  if (type !== "error" && isEmitter(emitter)) stops.push(listen(emitter, "error", reject, true));
  if (signal !== null) {
    const stop = () => reject(aborted(signal));
    onAbort(signal, stop);
    stops.push(() => offAbort(signal, stop));
  }
  try {
    return await promise;
  } finally {
    for (const stop of stops) stop();
  }
}

/** An asynchronous iterator of the values of events of this type. */
export function on(emitter, type, options = undefined) {
  const signal = signalOf(options, "events.on");
  if (signal?.aborted) throw aborted(signal);
  const ready = [];
  const waiting = [];
  let failure = null;
  let done = false;
  const give = (values) => {
    const next = waiting.shift();
    if (next === undefined) ready.push(values);
    else next.resolve({ value: values, done: false });
  };
  const fail = (error) => {
    const next = waiting.shift();
    if (next === undefined) failure = { error };
    else next.reject(error);
    end();
  };
  const stops = [listen(emitter, type, (...values) => give(values))];
  if (type !== "error" && isEmitter(emitter)) stops.push(listen(emitter, "error", fail));
  for (const each of options?.close ?? []) stops.push(listen(emitter, each, end));
  if (signal !== null) {
    const stop = () => fail(aborted(signal));
    onAbort(signal, stop);
    stops.push(() => offAbort(signal, stop));
  }

  function end() {
    done = true;
    for (const stop of stops) stop();
    for (const next of waiting.splice(0)) next.resolve({ value: undefined, done: true });
  }

  return {
    async next() {
      if (ready.length > 0) return { value: ready.shift(), done: false };
      if (failure !== null) {
        const { error } = failure;
        failure = null;
        throw error;
      }
      if (done) return { value: undefined, done: true };
      const next = Promise.withResolvers();
      waiting.push(next);
      return next.promise;
    },
    async return() {
      end();
      return { value: undefined, done: true };
    },
    async throw(error) {
      fail(error);
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() { return this; },
  };
}

export function getEventListeners(target, type) {
  if (typeof target?.listeners === "function") return target.listeners(type);
  throw invalidType("emitter", "an instance of EventEmitter", target);
}

export function getMaxListeners(target) {
  return typeof target?.getMaxListeners === "function" ? target.getMaxListeners() : defaultMaxListeners;
}

export function setMaxListeners(most = defaultMaxListeners, ...targets) {
  checkedCount(most, "setMaxListeners");
  if (targets.length === 0) defaultMaxListeners = most;
  for (const target of targets) target.setMaxListeners?.(most);
}

export function listenerCount(emitter, type) {
  return emitter.listenerCount(type);
}

/** Calls `listener` when the signal is aborted, or soon if it is already. */
export function addAbortListener(signal, listener) {
  requireFunction(listener, "listener");
  if (signal.aborted) queueMicrotask(() => listener());
  else signal.addEventListener("abort", listener, { once: true });
  return { [Symbol.dispose ?? Symbol.for("Symbol.dispose")]: () => signal.removeEventListener("abort", listener) };
}

Object.assign(EventEmitter, {
  EventEmitter, errorMonitor, captureRejectionSymbol, once, on, getEventListeners, getMaxListeners, setMaxListeners,
  listenerCount, addAbortListener,
});
Object.defineProperty(EventEmitter, "defaultMaxListeners", {
  get: () => defaultMaxListeners,
  set: (most) => { defaultMaxListeners = checkedCount(most, "defaultMaxListeners"); },
  enumerable: true,
});
Object.defineProperty(EventEmitter, "captureRejections", {
  get: () => captureRejections,
  set: (value) => { captureRejections = Boolean(value); },
  enumerable: true,
});

export default EventEmitter;
