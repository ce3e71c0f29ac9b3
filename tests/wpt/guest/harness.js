// Tests and their life, as testharness.js has them: what a file declares, the order in which it runs, and how it ends.
// A rejection that nobody handles is not noticed: there is no event of it.

import { AssertionError, OptionalFeatureUnsupportedError } from "./asserts.js";
import { describe } from "./format.js";

const { setTimeout, clearTimeout, Promise: NativePromise } = globalThis; // tests replace them

export const STATUSES = ["PASS", "FAIL", "TIMEOUT", "NOTRUN", "PRECONDITION_FAILED"];
const [PASS, FAIL, TIMEOUT, NOTRUN, PRECONDITION_FAILED] = STATUSES.keys();
const PHASES = { INITIAL: 0, STARTED: 1, HAS_RESULT: 2, CLEANING: 3, COMPLETE: 4 };
const MOST_MESSAGE = 2000; // characters
const WAIT_MS = 100; // between two looks of step_wait

const file = {
  tests: [],
  title: "Untitled",
  untitled: 0,
  status: "OK",
  message: null,
  evaluated: false, // all scripts ran
  explicitDone: false,
  explicitTimeout: false,
  single: null, // the test that the file is, where it said so
  mayThrow: false, // errors that nobody caught are no failure
  failed: null, // of assertions outside of tests
  over: false,
  finish: null,
  watchers: [],
  waiting: NativePromise.resolve(), // the last of the tests that run one after the other
  pending: 0, // of those
};

function nameOf(name) {
  if (name !== undefined && name !== null) return wellFormed(`${name}`);
  const number = file.untitled++;
  return number === 0 ? file.title : `${file.title} ${number}`;
}

const wellFormed = (text) => text.replace(/[\ud800-\udfff]/gu, (half) => `U+${half.charCodeAt(0).toString(16)}`);

export class Test {
  phase = PHASES.INITIAL;
  status = NOTRUN;
  message = null;
  stack = null;
  steps = 0;
  #cleanups = [];
  #ended = [];
  #abort = null;

  constructor(name, properties = {}) {
    this.name = nameOf(name);
    this.properties = properties ?? {};
    if (file.over) {
      this.phase = PHASES.COMPLETE; // too late to be one
      return;
    }
    const same = file.tests.filter((test) => test.name === this.name).length;
    if (same > 0) this.name += ` (${same + 1})`;
    file.tests.push(this);
  }

  get timeout_length() { return null; }

  step(func, thisObject = this, ...rest) {
    if (this.phase > PHASES.STARTED) return undefined;
    this.phase = PHASES.STARTED;
    this.steps += 1;
    try {
      return func.call(thisObject, ...rest);
    } catch (error) {
      if (this.phase < PHASES.HAS_RESULT) this.fail(error);
      return undefined;
    }
  }

  fail(error) {
    const optional = error instanceof OptionalFeatureUnsupportedError;
    const message = error instanceof AssertionError ? error.message : describe(error);
    this.set_status(optional ? PRECONDITION_FAILED : FAIL, message, typeof error?.stack === "string" ? error.stack : null);
    this.phase = PHASES.HAS_RESULT;
    this.done();
  }

  set_status(status, message = null, stack = null) {
    this.status = status;
    this.message = message === null ? null : wellFormed(`${message}`).slice(0, MOST_MESSAGE);
    this.stack = stack === null ? null : wellFormed(stack).slice(0, MOST_MESSAGE);
  }

  step_func(func, thisObject = this) {
    return (...rest) => this.step(func, thisObject, ...rest);
  }

  step_func_done(func = undefined, thisObject = this) {
    return (...rest) => {
      if (func) this.step(func, thisObject, ...rest);
      this.done();
    };
  }

  unreached_func(description = undefined) {
    return this.step_func(() => {
      throw new AssertionError(`assert_unreached: ${description ?? ""} Reached unreachable code`);
    });
  }

  step_timeout(func, ms, ...rest) {
    return setTimeout(this.step_func(() => func.call(this, ...rest)), ms);
  }

  step_wait_func(condition, func, description = undefined, timeout = 3000, interval = WAIT_MS) {
    let left = Math.ceil(timeout / interval);
    const look = this.step_func(() => {
      if (condition()) {
        func();
      } else {
        if (left-- <= 0) throw new AssertionError(`step_wait_func: ${description ?? ""} Timed out waiting on condition`);
        setTimeout(look, interval);
      }
    });
    look();
  }

  step_wait_func_done(condition, func = undefined, description = undefined, timeout = 3000, interval = WAIT_MS) {
    this.step_wait_func(condition, () => { func?.(); this.done(); }, description, timeout, interval);
  }

  step_wait(condition, description = undefined, timeout = 3000, interval = WAIT_MS) {
    return new NativePromise((resolve) => {
      this.step_wait_func(condition, resolve, description, timeout, interval);
    });
  }

  add_cleanup(callback) {
    this.#cleanups.push(callback);
  }

  get_signal() {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  whenEnded(callback) {
    if (this.phase === PHASES.COMPLETE) callback();
    else this.#ended.push(callback);
  }

  timeout() {
    if (this.phase >= PHASES.CLEANING) return;
    if (this.phase < PHASES.HAS_RESULT) {
      this.set_status(this.phase === PHASES.INITIAL ? NOTRUN : TIMEOUT, this.phase === PHASES.INITIAL ? null : "Test timed out");
    }
    this.phase = PHASES.HAS_RESULT;
    this.done();
  }

  force_timeout() {
    this.set_status(TIMEOUT);
    this.phase = PHASES.HAS_RESULT;
  }

  done() {
    if (this.phase >= PHASES.CLEANING) return;
    if (this.phase <= PHASES.STARTED) this.set_status(PASS);
    this.phase = PHASES.CLEANING;
    this.#abort?.abort();
    const waits = [];
    for (const cleanup of this.#cleanups.splice(0)) {
      try {
        const value = cleanup();
        if (typeof value?.then === "function") waits.push(value);
      } catch (error) {
        failFile(`cleanup of "${this.name}": ${describe(error)}`);
      }
    }
    if (waits.length === 0) this.#complete();
    else NativePromise.all(waits).then(() => {}, (error) => failFile(`cleanup: ${describe(error)}`)).then(() => this.#complete());
  }

  #complete() {
    this.phase = PHASES.COMPLETE;
    for (const ended of this.#ended.splice(0)) ended();
    for (const watcher of file.watchers) watcher.result?.(this);
    settle();
  }
}
Object.assign(Test.prototype, { PASS, FAIL, TIMEOUT, NOTRUN, PRECONDITION_FAILED });

function failFile(message) {
  if (file.status === "OK") file.status = "ERROR";
  file.message ??= wellFormed(message).slice(0, MOST_MESSAGE);
}

// Whether the file has come to its end.
function settle() {
  if (file.over || !file.evaluated || file.pending > 0) return;
  if (file.explicitDone || file.tests.some((test) => test.phase !== PHASES.COMPLETE)) return;
  end();
}

function end() {
  if (file.over) return;
  file.over = true;
  for (const watcher of file.watchers) watcher.completion?.(file.tests, { status: file.status === "OK" ? 0 : 1 });
  const subtests = file.tests.map(({ name, status, message, stack }) => ({ name, status: STATUSES[status], message, stack }));
  file.finish({ status: file.status, message: file.message, subtests });
}

// ---- what a file calls ----

export function test(func, name, properties) {
  const made = new Test(name, properties);
  const value = made.step(func, made, made);
  if (made.phase === PHASES.STARTED && typeof value?.then === "function") {
    made.fail(new AssertionError("test: the function returned a promise; use promise_test"));
  }
  if (made.phase === PHASES.STARTED) made.done();
}

export function async_test(func, name, properties) {
  const isNamed = typeof func !== "function";
  const made = isNamed ? new Test(func, name) : new Test(name, properties);
  if (!isNamed) made.step(func, made, made);
  return made;
}

export function promise_test(func, name, properties) {
  if (typeof func !== "function") [func, name, properties] = [null, func, name];
  const made = new Test(name, properties);
  inTurn(() => {
    // `then` of what the function returned is called, and no promise of ours is resolved with it.
    const value = made.step(func, made, made);
    made.step(() => {
      if (typeof value?.then !== "function") {
        throw new AssertionError("promise_test: test body must return a 'thenable' object");
      }
      const failed = (error) => made.step(() => {
        if (error instanceof AssertionError) throw error;
        throw new AssertionError(`promise_test: Unhandled rejection with value: ${describe(error)}`);
      });
      value.then(() => made.done(), failed);
    });
    return new NativePromise((resolve) => { made.whenEnded(resolve); });
  });
}

function inTurn(begin) {
  file.pending += 1;
  file.waiting = file.waiting.then(begin).then(() => {
    file.pending -= 1;
    settle();
  });
}

export function promise_setup(func, properties = {}) {
  setup(properties);
  inTurn(async () => {
    try {
      await func();
    } catch (error) {
      failFile(`promise_setup: ${describe(error)}`);
    }
  });
}

export function setup(funcOrProperties, properties = undefined) {
  const [func, options] = typeof funcOrProperties === "function" ? [funcOrProperties, properties] : [null, funcOrProperties];
  if (options?.explicit_done) file.explicitDone = true;
  if (options?.explicit_timeout) file.explicitTimeout = true;
  if (options?.allow_uncaught_exception) file.mayThrow = true;
  if (options?.single_test) {
    file.explicitDone = true;
    file.single = new Test(undefined);
    file.single.phase = PHASES.STARTED;
  }
  if (func === null) return;
  try {
    func();
  } catch (error) {
    failFile(`setup: ${describe(error)}`);
  }
}

export function done() {
  file.explicitDone = false;
  file.single?.done();
  settle();
}

export function generate_tests(func, tests, properties) {
  tests.forEach(([name, ...rest], place) => {
    test(() => func(...rest), name, Array.isArray(properties) ? properties[place] : properties);
  });
}

export function step_timeout(func, ms, ...rest) {
  return setTimeout(() => guard(() => func(...rest)), ms);
}

export function on_event(object, event, callback) {
  object.addEventListener(event, callback, false);
}

export function timeout() {
  expire();
}

export const add_result_callback = (result) => file.watchers.push({ result });
export const add_completion_callback = (completion) => file.watchers.push({ completion });
export const add_start_callback = () => {};
export const add_test_state_callback = () => {};

/** Waits for events of a target, in the order in which a test expects them. */
export class EventWatcher {
  #waiting = null;
  constructor(test, target, types, timeoutPromise = null) {
    const names = Array.isArray(types) ? types : [types];
    this.#seen = test.step_func((event) => this.#take(event));
    this.#test = test;
    for (const name of names) target.addEventListener(name, this.#seen, false);
    this.stop_watching = () => {
      for (const name of names) target.removeEventListener(name, this.#seen, false);
    };
    test.add_cleanup(() => this.stop_watching());
  }
  #seen;
  #test;

  #take(event) {
    const waiting = this.#waiting;
    if (waiting === null) throw new AssertionError(`Not expecting event, but got ${event.type} event`);
    const wanted = waiting.types.shift();
    if (wanted !== event.type) throw new AssertionError(`Expected ${wanted} event, but got ${event.type} event instead`);
    waiting.events.push(event);
    if (waiting.types.length > 0) return;
    this.#waiting = null;
    waiting.resolve(waiting.record === "all" ? waiting.events : event);
  }

  wait_for(types, options = {}) {
    return new NativePromise((resolve, reject) => {
      if (this.#waiting !== null) reject(new AssertionError("Already waiting for an event or events"));
      const wanted = Array.isArray(types) ? [...types] : [types];
      this.#waiting = { types: wanted, events: [], resolve, record: options?.record };
    });
  }
}

// ---- what the program around it calls ----

/** Runs what belongs to no test: what it throws is the file's failure, or the only test's. */
export function guard(call) {
  try {
    call();
  } catch (error) {
    uncaught(error);
  }
}

/** An error that reached the global scope. */
export function uncaught(error) {
  if (file.mayThrow || file.over) return;
  if (file.single !== null) file.single.fail(error);
  else failFile(`${describe(error)}\n${error?.stack ?? ""}`);
}

function expire() {
  if (file.over) return;
  file.status = "TIMEOUT";
  for (const each of file.tests) each.timeout();
  end();
}

/** Runs a file: `evaluate` runs its scripts. What is not over after so many milliseconds has timed out.
 *  Resolves to its status, a message, and the subtests. */
export function run(evaluate, { title, timeout_ms: ms }) {
  file.title = title;
  const finished = new NativePromise((resolve) => { file.finish = resolve; });
  const timer = setTimeout(() => { if (!file.explicitTimeout) expire(); }, ms);
  guard(evaluate);
  if (file.status === "ERROR" && file.tests.length === 0) end();
  file.evaluated = true;
  if (file.single !== null && file.single.phase === PHASES.COMPLETE) file.explicitDone = false;
  NativePromise.resolve().then(settle);
  return finished.then((result) => {
    clearTimeout(timer);
    return result;
  });
}
