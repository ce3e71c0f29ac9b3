// The service-worker syntax: `addEventListener("fetch", (event) => event.respondWith(...))`, and bindings as globals.

import { dispatchTo, Event, EventTarget, hasListeners } from "pyworkerd:web/events";
import { expose, illegalConstructor } from "pyworkerd:web/idl";
import { reportError } from "pyworkerd:web/report";

const MAKING = Symbol("an event is made here");
const scope = new EventTarget();
// What stands for `globalThis` where listeners are concerned.

export const listening = {
  addEventListener(type, listener, options = undefined) {
    scope.addEventListener(type, listener, options);
  },
  removeEventListener(type, listener, options = undefined) {
    scope.removeEventListener(type, listener, options);
  },
  dispatchEvent(event) {
    return scope.dispatchEvent(event);
  },
};

let settled;

// An event that is not over before what it was given to wait for is.
export class ExtendableEvent extends Event {
  #ctx;
  #pending = [];

  constructor(making, type, ctx) {
    if (making !== MAKING) throw illegalConstructor();
    super(type);
    this.#ctx = ctx;
  }

  static {
    settled = async (event) => {
      for (let i = 0; i < event.#pending.length; i++) await event.#pending[i];
      event.#pending = null;
    };
  }

  waitUntil(promise) {
    // What no client waits for fails with what it waits for; a request has its answer then.
    if (this.#pending === null || this.type === "fetch") this.#ctx.waitUntil(promise);
    else this.#pending.push(promise);
  }
}
expose(ExtendableEvent);

let answerOf, close;

export class FetchEvent extends ExtendableEvent {
  #request;
  #ctx;
  #answer = undefined;
  #open = true;

  constructor(making, request, ctx) {
    super(making, "fetch", ctx);
    this.#request = request;
    this.#ctx = ctx;
  }

  static {
    answerOf = (event) => event.#answer;
    close = (event) => {
      event.#open = false;
    };
  }

  get request() { return this.#request; }

  respondWith(response) {
    if (!this.#open) {
      throw new DOMException(
        "Too late to call FetchEvent.respondWith(). It must be called synchronously in the event handler.",
        "InvalidStateError",
      );
    }
    if (this.#answer !== undefined) {
      throw new DOMException(
        "FetchEvent.respondWith() has already been called; it can only be called once.",
        "InvalidStateError",
      );
    }
    this.#answer = Promise.resolve(response);
    this.stopImmediatePropagation();
  }

  passThroughOnException() { this.#ctx.passThroughOnException(); }
}
expose(FetchEvent);

export class ScheduledEvent extends ExtendableEvent {
  #controller;

  constructor(making, controller, ctx) {
    super(making, "scheduled", ctx);
    this.#controller = controller;
  }

  get scheduledTime() { return this.#controller.scheduledTime; }
  get cron() { return this.#controller.cron; }
  noRetry() { this.#controller.noRetry(); }
}
expose(ScheduledEvent);

export class QueueEvent extends ExtendableEvent {
  #batch;

  constructor(making, batch, ctx) {
    super(making, "queue", ctx);
    this.#batch = batch;
  }

  get queue() { return this.#batch.queue; }
  get messages() { return this.#batch.messages; }
  ackAll() { this.#batch.ackAll(); }
  retryAll(options = undefined) { this.#batch.retryAll(options); }
}
expose(QueueEvent);

const BACKGROUND = { scheduled: ScheduledEvent, queue: QueueEvent };

// Call the listeners. The first failure is the handler's; a promise that a listener returned is not waited for.
function dispatch(event) {
  const failures = [];
  dispatchTo(scope, event, {
    returned: (value) => value instanceof Promise && value.catch(reportError),
    failed: (error) => failures.push(error),
  });
  return failures;
}

async function fetch(request, env, ctx) {
  const event = new FetchEvent(MAKING, request, ctx);
  const failures = dispatch(event);
  close(event);
  const answer = answerOf(event);
  if (answer !== undefined) {
    failures.forEach(reportError);
    return answer;
  }
  if (failures.length > 0) throw failures[0];
  throw new TypeError(
    'no listener of "fetch" called event.respondWith(): it has to be called before the listener waits for anything',
  );
}

function inBackground(Kind) {
  return async (given, env, ctx) => {
    const event = new Kind(MAKING, given, ctx);
    const failures = dispatch(event);
    if (failures.length > 0) throw failures[0];
    await settled(event);
  };
}

// The handlers of a program in this syntax, as an exported object has them; null if it has none.
export function handlersOfScript() {
  const found = Object.entries(BACKGROUND).filter(([type]) => hasListeners(scope, type));
  const handlers = Object.fromEntries(found.map(([type, Kind]) => [type, inBackground(Kind)]));
  if (hasListeners(scope, "fetch")) handlers.fetch = fetch;
  return Object.keys(handlers).length === 0 ? null : handlers;
}
