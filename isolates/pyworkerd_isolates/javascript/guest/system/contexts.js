// Asynchronous contexts, in workers that ask for them (`node:async_hooks`): code goes on after an `await` with the
// stores that it had before, and as its own invocation's.
//
// The engine has one queue of jobs. Here it holds jobs of one context only: before another one's code runs, what is in
// the queue is taken out and waits as a segment, with its context, behind the segments that wait already. So whatever
// code makes ready goes on in the context of that code, without being told.
//
// What a promise makes ready is made ready by whoever settles it. Therefore `then` is another function, whose callbacks
// run in the context in which it was called; and `Promise` is another one, too: `await` calls the `then` of a promise
// whose constructor is not the engine's own, and takes a shorter way otherwise.

import { giveJobs, jobs, takeJobs } from "pyworkerd:system/host";
import { become, current, useContexts } from "pyworkerd:system/loop";
import { adopt } from "pyworkerd:workers/pipelining";

export let frame = null;
// The stores of the code that runs: a Map that is not changed any more, or null.

let segments = [];
// Taken out of the queue, the first one first.

function enter(invocation, stores) {
  if (current === invocation && frame === stores) return;
  const taken = takeJobs();
  if (taken !== 0) segments.push({ invocation: current, frame, jobs: taken });
  become(invocation);
  frame = stores;
}

// From here on, code runs with these stores.
export function enterFrame(stores) {
  enter(current, stores);
}

export function runWith(stores, callback, self, values) {
  return within(current, stores, callback, self, values);
}

function within(invocation, stores, callback, self, values) {
  const [before, storesBefore] = [current, frame];
  enter(invocation, stores);
  try {
    return apply(callback, self, values);
  } finally {
    enter(before, storesBefore);
  }
}

const { apply } = Reflect;

// A function that runs in the context of now, whenever it is called.
export function bound(callback) {
  const [invocation, stores] = [current, frame];
  return (...values) => within(invocation, stores, callback, undefined, values);
}

// Everything that is ready, each in its own context.
export function drain() {
  for (;;) {
    jobs();
    if (segments.length === 0) return;
    const ready = segments;
    segments = [];
    for (const each of ready) {
      become(each.invocation);
      frame = each.frame;
      giveJobs(each.jobs);
      jobs();
    }
  }
}

export function run(invocation, callback, value) {
  const [before, storesBefore] = [current, frame];
  enter(invocation, null);
  try {
    callback(value);
    drain();
  } finally {
    enter(before, storesBefore);
  }
}

function contextualPromise(Native) {
  const { then } = Native.prototype;
  const made = {
    Promise: function (executor) {
      if (new.target === undefined) throw new TypeError("Promise must be called with new");
      return Reflect.construct(Native, [executor], new.target);
    },
  }.Promise;
  for (const key of Reflect.ownKeys(Native)) {
    Object.defineProperty(made, key, Object.getOwnPropertyDescriptor(Native, key));
  }
  // What the engine derives promises by: its own, which needs no call of a function here.
  const species = { get() { return this === made ? Native : this; } };
  Object.defineProperty(made, Symbol.species, { ...species, configurable: true });
  const methods = {
    constructor: made,
    then(onFulfilled, onRejected) {
      return apply(then, this, [inContext(onFulfilled), inContext(onRejected)]);
    },
  };
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(Native.prototype, name, { value, writable: true, enumerable: false, configurable: true });
  }
  return made;
}

function inContext(callback) {
  if (typeof callback !== "function") return callback;
  const [invocation, stores] = [current, frame];
  return (value) => {
    if (current === invocation && frame === stores) return callback(value);
    return within(invocation, stores, callback, undefined, [value]);
  };
}

// What the garbage collector calls belongs to nobody's context.
function contextualRegistry(Native) {
  return class FinalizationRegistry extends Native {
    constructor(callback) {
      super(typeof callback === "function" ? (value) => within(null, null, callback, undefined, [value]) : callback);
    }
  };
}

let isInstalled = false;

// From now on. It is evaluated with the engine, since an isolate that lends something wants it in the middle of a step.
export function install(target) {
  if (isInstalled) return;
  const taken = takeJobs(); // throws where the engine does not let its queue be found
  if (taken !== 0) giveJobs(taken);
  const made = {
    Promise: contextualPromise(target.Promise),
    FinalizationRegistry: contextualRegistry(target.FinalizationRegistry),
  };
  for (const [name, value] of Object.entries(made)) {
    Object.defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });
  }
  adopt();
  useContexts({ run, drain, bound, within });
  isInstalled = true;
}
