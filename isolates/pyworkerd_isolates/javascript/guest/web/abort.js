// AbortController and AbortSignal (https://dom.spec.whatwg.org/#aborting-ongoing-activities).

import {
  Event, EventTarget, dispatchTo, getHandler, hasListeners, setHandler, trust, watchListeners,
} from "pyworkerd:web/events";
import { dictionary, enforceRange, expose, illegalConstructor } from "pyworkerd:web/idl";
import { setTimer } from "pyworkerd:system";

const MAKING = Symbol("a signal is made here");

let abort, onAbort, offAbort;
let order = 0;

export class AbortSignal extends EventTarget {
  #order = 0; // which signal to be aborted it was; 0 as long as it is not
  #reason = undefined;
  #algorithms = null;
  // Signals that this one follows, none of which follows others itself. They know of it only while somebody waits for
  // it: until then it looks at them when it is asked, so that a signal of long life does not collect those of each
  // request.
  #sources = null;
  #followers = null;

  constructor(making) {
    if (making !== MAKING) throw illegalConstructor();
    super();
  }

  static {
    abort = (signal, reason = new DOMException("The operation was aborted", "AbortError")) => {
      if (signal.#isAborted()) return;
      order += 1;
      signal.#mark(order, reason);
      const reached = [signal];
      for (const follower of signal.#followers ?? []) {
        if (follower.#order !== 0) continue;
        follower.#mark(order, reason);
        reached.push(follower);
      }
      signal.#followers = null;
      for (const each of reached) each.#run();
    };
    onAbort = (signal, algorithm) => {
      if (signal.#isAborted()) return;
      (signal.#algorithms ??= new Set()).add(algorithm);
      signal.#follow();
    };
    offAbort = (signal, algorithm) => {
      signal.#algorithms?.delete(algorithm);
      signal.#follow();
    };
  }

  #isAborted() {
    if (this.#order === 0 && this.#sources !== null) {
      const [first] = [...this.#sources].filter((source) => source.#order !== 0).sort((a, b) => a.#order - b.#order);
      if (first !== undefined) this.#mark(first.#order, first.#reason);
    }
    return this.#order !== 0;
  }

  #mark(place, reason) {
    this.#order = place;
    this.#reason = reason;
  }

  // Lets its sources know whether somebody waits.
  #follow() {
    if (this.#sources === null) return;
    const waits = hasListeners(this, "abort") || (this.#algorithms !== null && this.#algorithms.size > 0);
    for (const source of this.#sources) {
      if (waits) (source.#followers ??= new Set()).add(this);
      else source.#followers?.delete(this);
    }
  }

  #run() {
    const algorithms = this.#algorithms;
    this.#algorithms = null;
    for (const source of this.#sources ?? []) source.#followers?.delete(this);
    this.#sources = null;
    for (const algorithm of algorithms ?? []) algorithm(this.#reason);
    if (hasListeners(this, "abort")) dispatchTo(this, trust(new Event("abort")));
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
    const sources = new Set();
    for (const signal of given) {
      if (signal.#sources === null) sources.add(signal);
      else for (const source of signal.#sources) sources.add(source);
      if (signal.#isAborted()) {
        result.#mark(signal.#order, signal.#reason);
        return result;
      }
    }
    result.#sources = sources;
    watchListeners(result, () => result.#follow());
    return result;
  }

  get aborted() { return this.#isAborted(); }
  get reason() { return this.#isAborted() ? this.#reason : undefined; }
  throwIfAborted() { if (this.#isAborted()) throw this.#reason; }
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
