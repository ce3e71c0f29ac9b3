// Events and their targets, without a tree: an event has one target (https://dom.spec.whatwg.org/#events).

import { dictionary, expose, requireArguments } from "pyworkerd:web/idl";
import { reportError } from "pyworkerd:web/report";
import { now } from "pyworkerd:system";

const NONE = 0;
const AT_TARGET = 2;

let begin, finish, stopsNow, enterPassive, trust, IS_TRUSTED;

export class Event {
  #type;
  #bubbles;
  #cancelable;
  #composed;
  #time;
  #target = null;
  #phase = NONE;
  #canceled = false;
  #stopped = false;
  #stoppedNow = false;
  #passive = false;
  #trusted = false;

  constructor(type, init = undefined) {
    requireArguments(arguments.length, 1, "Event constructor");
    const options = dictionary(init, "Event constructor");
    this.#type = `${type}`;
    this.#bubbles = Boolean(options.bubbles);
    this.#cancelable = Boolean(options.cancelable);
    this.#composed = Boolean(options.composed);
    this.#time = now();
    Object.defineProperty(this, "isTrusted", IS_TRUSTED); // unforgeable: of each event its own
  }

  static {
    begin = (event, target) => {
      if (event.#phase !== NONE) {
        throw new DOMException("The event is already being dispatched.", "InvalidStateError");
      }
      event.#target = target;
      event.#phase = AT_TARGET;
    };
    finish = (event) => {
      event.#phase = NONE;
      event.#stopped = event.#stoppedNow = event.#passive = false;
      return !event.#canceled;
    };
    stopsNow = (event) => event.#stoppedNow;
    enterPassive = (event, passive) => { event.#passive = passive; };
    trust = (event) => {
      event.#trusted = true;
      return event;
    };
    IS_TRUSTED = Object.freeze({
      get: Object.getOwnPropertyDescriptor({ get isTrusted() { return this.#trusted; } }, "isTrusted").get,
      set: undefined,
      enumerable: true,
      configurable: false,
    });
  }

  get type() { return this.#type; }
  get target() { return this.#target; }
  get srcElement() { return this.#target; }
  get currentTarget() { return this.#phase === NONE ? null : this.#target; }
  get eventPhase() { return this.#phase; }
  get bubbles() { return this.#bubbles; }
  get cancelable() { return this.#cancelable; }
  get composed() { return this.#composed; }
  get defaultPrevented() { return this.#canceled; }
  get returnValue() { return !this.#canceled; }
  set returnValue(value) {
    this.#type; // of another class: a TypeError in any case
    if (!value) this.preventDefault();
  }
  get cancelBubble() { return this.#stopped; }
  set cancelBubble(value) { this.#stopped ||= Boolean(value); }
  get timeStamp() { return this.#time; }
  composedPath() { return this.#phase === NONE ? [] : [this.#target]; }
  stopPropagation() { this.#stopped = true; }
  stopImmediatePropagation() { this.#stopped = this.#stoppedNow = true; }
  initEvent(type, bubbles = false, cancelable = false) {
    requireArguments(arguments.length, 1, "'initEvent' on 'Event'");
    if (this.#phase !== NONE) return;
    this.#type = `${type}`;
    this.#bubbles = Boolean(bubbles);
    this.#cancelable = Boolean(cancelable);
    this.#stopped = this.#stoppedNow = this.#canceled = this.#trusted = false;
    this.#target = null;
  }
  preventDefault() { if (this.#cancelable && !this.#passive) this.#canceled = true; }
}
expose(Event, { NONE, CAPTURING_PHASE: 1, AT_TARGET, BUBBLING_PHASE: 3 });

export class CustomEvent extends Event {
  #detail;
  constructor(type, init = undefined) {
    requireArguments(arguments.length, 1, "CustomEvent constructor");
    super(type, init);
    this.#detail = init?.detail ?? null;
  }
  get detail() { return this.#detail; }
  initCustomEvent(type, bubbles = false, cancelable = false, detail = null) {
    requireArguments(arguments.length, 1, "'initCustomEvent' on 'CustomEvent'");
    this.#detail; // of another class: a TypeError
    if (this.eventPhase !== NONE) return;
    this.initEvent(type, bubbles, cancelable);
    this.#detail = detail;
  }
}
expose(CustomEvent);

export class MessageEvent extends Event {
  #data;
  #origin;
  #lastEventId;
  constructor(type, init = undefined) {
    requireArguments(arguments.length, 1, "MessageEvent constructor");
    super(type, init);
    this.#data = init?.data ?? null;
    this.#origin = `${init?.origin ?? ""}`;
    this.#lastEventId = `${init?.lastEventId ?? ""}`;
  }
  get data() { return this.#data; }
  get origin() { return this.#origin; }
  get lastEventId() { return this.#lastEventId; }
  get source() { return (this.#data, null); }
  get ports() { return (this.#data, []); }
}
expose(MessageEvent);

export class CloseEvent extends Event {
  #code;
  #reason;
  #wasClean;
  constructor(type, init = undefined) {
    requireArguments(arguments.length, 1, "CloseEvent constructor");
    super(type, init);
    this.#code = Number(init?.code ?? 0) & 0xffff;
    this.#reason = `${init?.reason ?? ""}`;
    this.#wasClean = Boolean(init?.wasClean);
  }
  get code() { return this.#code; }
  get reason() { return this.#reason; }
  get wasClean() { return this.#wasClean; }
}
expose(CloseEvent);

export class ErrorEvent extends Event {
  #init;
  constructor(type, init = undefined) {
    requireArguments(arguments.length, 1, "ErrorEvent constructor");
    super(type, init);
    const { message = "", filename = "", lineno = 0, colno = 0, error = undefined } = init ?? {};
    this.#init = { message: `${message}`, filename: `${filename}`, lineno: lineno >>> 0, colno: colno >>> 0, error };
  }
  get message() { return this.#init.message; }
  get filename() { return this.#init.filename; }
  get lineno() { return this.#init.lineno; }
  get colno() { return this.#init.colno; }
  get error() { return this.#init.error; }
}
expose(ErrorEvent);

export class PromiseRejectionEvent extends Event {
  #promise;
  #reason;
  constructor(type, init) {
    requireArguments(arguments.length, 2, "PromiseRejectionEvent constructor");
    super(type, init);
    this.#promise = init.promise;
    this.#reason = init.reason;
  }
  get promise() { return this.#promise; }
  get reason() { return this.#reason; }
}
expose(PromiseRejectionEvent);

// What a class wants to hear when listeners come and go, by target.
const watchers = new WeakMap();

/** Has `watcher()` called whenever listeners of a target were added or removed. */
export const watchListeners = (target, watcher) => watchers.set(target, watcher);

let hasListeners, dispatchTo, setHandler, getHandler;

export class EventTarget {
  // By type, an array that is replaced and never changed, so a dispatch goes on with the one that it began with.
  #listeners = null;

  static {
    hasListeners = (target, type) => target.#listeners?.has(type) ?? false;
    dispatchTo = (target, event, heard = null) => {
      begin(event, target);
      const listeners = target.#listeners?.get(event.type);
      if (listeners !== undefined) {
        for (const listener of listeners) {
          if (listener.removed) continue;
          if (listener.once) target.#remove(event.type, listener);
          enterPassive(event, listener.passive);
          call(listener.callback, target, event, heard);
          enterPassive(event, false);
          if (stopsNow(event)) break;
        }
      }
      return finish(event);
    };
    // An `on...` attribute: one listener, which keeps the place of the first that was set.
    getHandler = (target, type) =>
      target.#listeners?.get(type)?.find((listener) => listener.isHandler)?.callback.handler ?? null;
    setHandler = (target, type, value) => {
      const handler = typeof value === "function" || (typeof value === "object" && value) ? value : null;
      const found = target.#listeners?.get(type)?.find((listener) => listener.isHandler);
      if (handler === null) {
        if (found !== undefined) target.#remove(type, found);
      } else if (found !== undefined) {
        found.callback.handler = handler;
      } else {
        const callback = function (event) {
          const value = typeof callback.handler === "function" ? callback.handler.call(this, event) : undefined;
          if (value === false) event.preventDefault();
          return value;
        };
        callback.handler = handler;
        target.#add(type, { callback, capture: false, once: false, passive: false, removed: false, isHandler: true });
      }
    };
  }

  addEventListener(type, callback, options = undefined) {
    requireArguments(arguments.length, 2, "'addEventListener' on 'EventTarget'");
    this.#listeners; // of another class: a TypeError in any case
    const { capture, once, passive, signal } = flattened(options);
    if (callback === null || callback === undefined) return;
    if (typeof callback !== "object" && typeof callback !== "function") {
      throw new TypeError("addEventListener: the listener must be a function or an object with handleEvent.");
    }
    if (signal?.aborted) return;
    const name = `${type}`;
    if (this.#find(name, callback, capture) !== undefined) return;
    const listener = { callback, capture, once, passive, removed: false, isHandler: false };
    this.#add(name, listener);
    signal?.addEventListener("abort", () => this.#remove(name, listener), { once: true });
  }

  removeEventListener(type, callback, options = undefined) {
    requireArguments(arguments.length, 2, "'removeEventListener' on 'EventTarget'");
    const capture = Boolean(typeof options === "object" && options !== null ? options.capture : options);
    const found = this.#find(`${type}`, callback, capture);
    if (found !== undefined) this.#remove(`${type}`, found);
  }

  dispatchEvent(event) {
    if (!(event instanceof Event)) throw new TypeError("dispatchEvent: the argument must be an Event.");
    return dispatchTo(this, event);
  }

  #find(type, callback, capture) {
    const same = (listener) => listener.callback === callback && listener.capture === capture;
    return this.#listeners?.get(type)?.find(same);
  }

  #add(type, listener) {
    this.#listeners ??= new Map();
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
    watchers.get(this)?.();
  }

  #remove(type, listener) {
    listener.removed = true;
    const left = this.#listeners.get(type)?.filter((other) => other !== listener) ?? [];
    if (left.length > 0) this.#listeners.set(type, left);
    else this.#listeners.delete(type);
    watchers.get(this)?.();
  }
}
expose(EventTarget);

function flattened(options) {
  if (typeof options === "boolean") return { capture: options, once: false, passive: false, signal: undefined };
  const { capture, once, passive, signal } = options ?? {};
  if (signal !== undefined && !(signal instanceof EventTarget && typeof signal.aborted === "boolean")) {
    throw new TypeError("addEventListener: `signal` must be an AbortSignal.");
  }
  return { capture: Boolean(capture), once: Boolean(once), passive: Boolean(passive), signal };
}

function call(callback, target, event, heard) {
  let value;
  try {
    value = typeof callback === "function" ? callback.call(target, event) : callback.handleEvent(event);
  } catch (error) {
    if (heard === null) reportError(error);
    else heard.failed(error);
    return;
  }
  heard?.returned(value);
}

/** For classes that are targets: whether anybody listens, dispatching, and what an `on...` attribute holds.
 *  `dispatchTo` tells `heard`, if it is given, what each listener returned and how it failed. */
export { hasListeners, dispatchTo, getHandler, setHandler, trust };
