// Whose code runs, and timers. Everything that an event makes ready runs before the next event, for the invocation that
// the event belongs to: so code after an `await` is known to be that invocation's.

import { jobs, now, settled } from "pyworkerd:system/host";

export let current = null;
// The invocation whose code runs; null at the top level, and for what nobody is left to pay for.
export let begun = null;
// What an event has begun that the engine takes apart, which runs the jobs: the invocation, if its answer is there, or
// else GOES_ON. Beside `current`, so that both are on one page.
export const GOES_ON = {};

let order = 0;
let heap = [];
// Timers, the next one first.
const timers = new Map();
// Those that a program can still cancel, by number.

const MAX_TIMERS = 10000;
export const MAX_DUE = 64;
// Invocations that one answer names as due, as on the host.

// `system/contexts`, in workers that have asynchronous contexts: whose code runs is known then after every `await`.
let contexts = null;

export function useContexts(module) {
  contexts = module;
}

// A function that has the stores of now whenever it is called.
export function inContext(callback) {
  return contexts === null ? callback : contexts.bound(callback);
}

// What it makes ready goes on as this invocation's.
export function within(invocation, callback) {
  return contexts === null ? callback() : contexts.within(invocation, null, callback, undefined, []);
}

// Whether promises were rejected whose reason nobody has heard yet (`system/rejections`): to ask a Map for its size is
// a call.
export let isUnheard = false;
let tell = null;

export function setUnheard(value) {
  isUnheard = value;
}

export function tellBy(teller) {
  tell = teller;
}

// Tell of those of an invocation that ends, while it can still be told to.
export function tellOf(invocation) {
  if (isUnheard) tell(invocation);
}

export function become(invocation) {
  current = invocation;
}

export function run(invocation, callback, value) {
  if (contexts !== null) {
    contexts.run(invocation, callback, value);
    if (isUnheard) tell();
    return;
  }
  const before = current;
  current = invocation;
  try {
    callback(value);
    jobs();
    if (contexts !== null) contexts.drain(); // it asked for them just now
    if (isUnheard) tell();
  } finally {
    current = before;
  }
}

// The same for one that begins; returns what the callback does. It hands on what the callback is given, since to make a
// function that knows it costs as much as four calls.
export function runFirst(invocation, callback, kind, event, blobs, more) {
  if (contexts !== null) {
    let result;
    contexts.run(invocation, () => {
      result = callback(invocation, kind, event, blobs, more);
    });
    if (isUnheard) tell();
    return result;
  }
  const before = current;
  current = invocation;
  try {
    const result = callback(invocation, kind, event, blobs, more);
    jobs();
    if (contexts !== null) contexts.drain(); // it asked for them just now
    if (isUnheard) tell();
    return result;
  } finally {
    current = before;
  }
}

// Whether code of an invocation that begins may run at once, and the engine runs the jobs; then `leave` follows.
export function enterFirst(invocation) {
  if (contexts !== null) return false;
  current = invocation;
  begun = GOES_ON;
  return true;
}

// The answer is there.
export function isThere(invocation) {
  begun = invocation;
}

// Returns what was `begun`.
export function leave() {
  const invocation = begun;
  begun = null;
  if (contexts !== null) contexts.drain(); // it asked for them meanwhile
  if (isUnheard) tell();
  current = null;
  return invocation;
}

// What a promise was fulfilled with; the promise itself if it was not, if something is ready that would run before who
// awaits it, or if code has to go on in its own context. Throws where `await` would: QuickJS ends whoever awaits such a
// promise, past its `catch`.
export function promised(promise) {
  return promise.constructor === Promise && contexts === null ? settled(promise) : promise;
}

// The same, to be awaited. A promise that is resolved with one whose `constructor` throws is rejected.
export function sure(promise) {
  const isUsual = getPrototypeOf(promise) === Native.prototype && !hasOwn(promise, "constructor");
  return isUsual ? promise : new Native((resolve) => resolve(promise));
}

const Native = Promise;
const { getPrototypeOf, hasOwn } = Object;

// Run everything that is ready, at the top level of a worker.
export function drain() {
  jobs();
  if (contexts !== null) contexts.drain();
  if (isUnheard) tell();
}

export function needed() {
  if (current === null) {
    throw new Error("this can only be used while a request is handled: at the top level of a worker there is no I/O");
  }
  if (current.over) {
    throw new Error("the request that this belongs to is over: give what goes on after the answer to ctx.waitUntil()");
  }
  return current;
}

function before(a, b) {
  return a.when < b.when || (a.when === b.when && a.order < b.order);
}

function push(timer) {
  let at = heap.push(timer) - 1;
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (!before(timer, heap[above])) break;
    heap[at] = heap[above];
    at = above;
  }
  heap[at] = timer;
}

function pop() {
  const first = heap[0];
  const last = heap.pop();
  if (heap.length > 0) {
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && before(heap[below + 1], heap[below])) below += 1;
      if (!before(heap[below], last)) break;
      heap[at] = heap[below];
      at = below;
    }
    heap[at] = last;
  }
  return first;
}

export function setTimer(callback, ms) {
  const invocation = needed();
  if (timers.size >= MAX_TIMERS) throw new Error(`more than ${MAX_TIMERS} timers wait at once`);
  const when = now() + (ms > 0 ? ms : 0);
  const timer = { when, order: ++order, callback: inContext(callback), invocation };
  timers.set(timer.order, timer);
  invocation.setOf("timers").add(timer);
  push(timer);
  return timer.order;
}

export function clearTimer(number) {
  const timer = timers.get(number);
  if (timer === undefined) return;
  forget(timer);
  sweep();
}

function forget(timer) {
  timers.delete(timer.order);
  timer.invocation?.timers?.delete(timer);
  timer.callback = timer.invocation = null;
}

// The invocation has ended: so have its timers.
export function clearTimersOf(invocation) {
  if (invocation.timers === undefined) return;
  for (const timer of invocation.timers) forget(timer);
  sweep();
}

// A program that sets and clears a timeout for each call must not pile up dead ones until they are due.
function sweep() {
  if (heap.length > 100 && heap.length > 2 * timers.size) {
    const living = heap.filter((timer) => timer.callback !== null);
    heap = [];
    for (const timer of living) push(timer);
  }
}

// What waits for its turn: after what runs now, for a later step, or for a gate to open.
let later = [];
let held = 0; // events among them
let step = 0;
let gate = null;
// The invocations that alone may run (`objects/object`); null if all may.

export let isHolding = false;
// Whether events may have to wait.

export function setGate(invocations) {
  gate = invocations;
  isHolding = gate !== null || held > 0;
}

// Whether an event of this invocation has to wait; if so, it is performed when its turn has come.
export function holdBack(invocation, perform) {
  if (invocation === null || gate?.has(invocation)) return false;
  held += 1;
  const go = () => {
    held -= 1;
    isHolding = gate !== null || held > 0;
    perform();
  };
  later.push({ invocation, step: 0, perform: go });
  return true;
}

// Go on in this invocation, but not from within what runs just now.
export function soon(invocation, callback) {
  later.push({ invocation, step: 0, perform: () => run(invocation, callback) });
}

// A promise of the step after this one.
export function inNextStep() {
  const invocation = needed();
  return new Promise((resolve) => {
    later.push({ invocation, step: step + 1, perform: () => run(invocation, resolve) });
  });
}

function mayRun(invocation, focus) {
  if (invocation.over) return true; // nobody's code: an event that nobody waits for any more
  return (focus === null || focus.has(invocation.number)) && (gate === null || gate.has(invocation));
}

// The events are there: let go on what is ready besides, of these invocations (null: of all).
export function goOn(focus) {
  if (later.length > 0) runLater(focus);
  if (heap.length > 0) runTimers(focus);
  if (later.length > 0) runLater(focus);
  step += 1;
}

function runLater(focus) {
  for (let isMore = later.length > 0; isMore; ) {
    isMore = false;
    const waiting = later;
    later = [];
    for (const each of waiting) {
      // Whoever opens or closes the gate decides about all that come after.
      if (each.step <= step && mayRun(each.invocation, focus)) {
        each.perform();
        isMore = later.length > 0;
      } else later.push(each);
    }
  }
}

// Run the timers that were due when the step began.
function runTimers(focus) {
  const time = now();
  const others = [];
  const ready = [];
  while (heap.length > 0 && heap[0].when <= time) {
    const timer = pop();
    if (timer.callback === null) continue;
    (mayRun(timer.invocation, focus) ? ready : others).push(timer);
  }
  for (const timer of others) push(timer);
  for (const timer of ready) {
    const { callback, invocation } = timer;
    if (callback === null) continue;
    if (gate !== null && !gate.has(invocation)) {
      push(timer); // the gate was closed by a timer before this one
      continue;
    }
    forget(timer);
    run(invocation, callback);
  }
}

// Whether nothing waits for its turn, as after most steps: then there is nothing to `goOn` with, and nothing is `due`.
export function isQuiet() {
  return later.length === 0 && heap.length === 0 && gate === null;
}

// When to run again, in seconds, and for whom; null if only an event can make something go on.
export function due() {
  if (later.length > 0) {
    const waiting = new Set();
    for (const { invocation } of later) {
      if (!invocation.over && mayRun(invocation, null)) waiting.add(invocation.number);
    }
    if (waiting.size > 0) return [0, [...waiting].slice(0, MAX_DUE)];
  }
  if (gate !== null) return dueBehindGate();
  while (heap.length > 0 && heap[0].callback === null) pop();
  if (heap.length === 0) return null;
  const when = heap[0].when;
  const numbers = new Set();
  const places = [0];
  for (let at = 0; at < places.length && numbers.size < MAX_DUE; at++) {
    const place = places[at];
    const timer = heap[place];
    if (timer === undefined || timer.when !== when) continue; // a heap: what is equal lies below others that are
    if (timer.callback !== null) numbers.add(timer.invocation.number);
    places.push(2 * place + 1, 2 * place + 2);
  }
  return [when / 1000, [...numbers].sort((a, b) => a - b)];
}

function dueBehindGate() {
  const mine = heap.filter(({ callback, invocation }) => callback !== null && gate.has(invocation));
  if (mine.length === 0) return null;
  const first = mine.reduce((one, other) => (before(other, one) ? other : one));
  return [first.when / 1000, [first.invocation.number]];
}
