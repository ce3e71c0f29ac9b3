// AbortController and AbortSignal (https://dom.spec.whatwg.org/#aborting-ongoing-activities).

import { Event, EventTarget, dispatchTo, getHandler, hasListeners, setHandler } from "pyworkerd:web/events";
import { dictionary, enforceRange, expose, illegalConstructor } from "pyworkerd:web/idl";
import { setTimer } from "pyworkerd:system";

const MAKING = Symbol("a signal is made here");

let abort, onAbort, offAbort;

export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason = undefined;
  #algorithms = null;
  #sources = null; // signals that this one depends on, none of which is itself a dependent one
  #dependents = null;

  constructor(making) {
    if (making !== MAKING) throw illegalConstructor();
    super();
  }

  static {
    abort = (signal, reason = new DOMException("The operation was aborted", "AbortError")) => {
      if (signal.#aborted) return;
      signal.#mark(reason);
      const reached = [signal];
      for (const dependent of signal.#dependents ?? []) {
        if (!dependent.#aborted) {
          dependent.#mark(reason);
          reached.push(dependent);
        }
      }
      signal.#dependents = null;
      for (const each of reached) each.#run();
    };
    onAbort = (signal, algorithm) => {
      if (!signal.#aborted) (signal.#algorithms ??= new Set()).add(algorithm);
    };
    offAbort = (signal, algorithm) => {
      signal.#algorithms?.delete(algorithm);
    };
  }

  #mark(reason) {
    this.#aborted = true;
    this.#reason = reason;
  }

  #run() {
    const algorithms = this.#algorithms;
    this.#algorithms = null;
    for (const source of this.#sources ?? []) source.#dependents?.delete(this);
    this.#sources = null;
    for (const algorithm of algorithms ?? []) algorithm(this.#reason);
    if (hasListeners(this, "abort")) dispatchTo(this, new Event("abort"));
  }

  static abort(reason = undefined) {
    const signal = new AbortSignal(MAKING);
    abort(signal, reason);
    return signal;
  }

  static timeout(milliseconds) {
    const delay = enforceRange(milliseconds, "AbortSignal.timeout");
    const signal = new AbortSignal(MAKING);
    const expire = () => abort(signal, new DOMException("The operation was aborted due to timeout", "TimeoutError"));
    setTimer(expire, delay);
    return signal;
  }

  static any(signals) {
    const result = new AbortSignal(MAKING);
    const given = [...signals];
    for (const signal of given) {
      if (!(signal instanceof AbortSignal)) throw new TypeError("AbortSignal.any: every item must be an AbortSignal.");
    }
    const first = given.find((signal) => signal.#aborted);
    if (first !== undefined) {
      result.#mark(first.#reason);
      return result;
    }
    const sources = new Set();
    for (const signal of given) {
      if (signal.#sources === null) sources.add(signal);
      else for (const source of signal.#sources) sources.add(source);
    }
    for (const source of sources) (source.#dependents ??= new Set()).add(result);
    result.#sources = sources;
    return result;
  }

  get aborted() { return this.#aborted; }
  get reason() { return this.#reason; }
  throwIfAborted() { if (this.#aborted) throw this.#reason; }
  get onabort() { return getHandler(this, "abort"); }
  set onabort(value) { setHandler(this, "abort", value); }
}
Object.defineProperty(AbortSignal, "length", { value: 0, configurable: true });
expose(AbortSignal);

export class AbortController {
  #signal = null;
  get signal() { return (this.#signal ??= new AbortSignal(MAKING)); }
  abort(reason = undefined) { abort(this.signal, reason); }
}
expose(AbortController);

/** A signal of our own, which `abort(signal, reason)` aborts. */
export const makeSignal = () => new AbortSignal(MAKING);

/** The signal among options, checked; null where there is none. */
export function signalOf(options, where) {
  const signal = dictionary(options, where).signal ?? null;
  if (signal !== null && !(signal instanceof AbortSignal)) {
    throw new TypeError(`${where}: \`signal\` must be an AbortSignal.`);
  }
  return signal;
}

/** `onAbort(signal, algorithm)` calls it with the reason, before the event; `offAbort` takes that back. */
export { abort, onAbort, offAbort };
