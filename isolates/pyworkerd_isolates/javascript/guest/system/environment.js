// `env` and `ctx`: what a worker may use, and what it knows of the invocation it runs in.

import { reportUnheard } from "pyworkerd:system/logs";
import { readValue } from "pyworkerd:system/values";

export const env = {};
export const meta = {};
// What the host says about the worker, from `init`.

let shapes = {};

export function setShapes(table) {
  shapes = table;
}

let exposed = null;
const free = new Set();
// Names by which a program may mean a binding, without `env` before them.
const MOST_FREE = 256;

// A program has these names in it. What is no binding's does nothing.
export function mayBeGlobal(names) {
  for (const name of names) if (free.size < MOST_FREE) free.add(name);
}

const listeners = [];

// Who wants to hear of all bindings as soon as there are any.
export function onBindings(listener) {
  listeners.push(listener);
  listener(env);
}

// Programs in the service-worker syntax find their bindings there, too.
export function exposeBindings(target) {
  exposed = target;
}

export function setBindings(bindings, about, blobs) {
  for (const name of Object.keys(env)) delete env[name];
  Object.assign(meta, about);
  for (const [name, kind, value, ...details] of bindings) {
    const made =
      kind === "value" ? readValue(blobs[value]) : shapes[kind]?.(value, ...details.map((each) => blobs[each]));
    if (made === undefined) {
      throw new TypeError(`the binding ${name} is of a kind that JavaScript workers cannot use yet: ${kind}`);
    }
    env[name] = made;
    if (exposed !== null) {
      Reflect.defineProperty(exposed, name, { value: made, writable: true, enumerable: true, configurable: true });
    } else if (free.has(name) && !(name in globalThis)) {
      Reflect.defineProperty(globalThis, name, { value: made, writable: true, enumerable: false, configurable: true });
    }
  }
  for (const listener of listeners) listener(env);
}

export class ExecutionContext {
  #invocation;

  constructor(invocation, props) {
    this.#invocation = invocation;
    this.props = props ?? {};
  }

  waitUntil(promise) {
    const invocation = this.#invocation;
    invocation.waitUntil(promise, (error) => reportUnheard(invocation, "a waitUntil() task failed", error));
  }

  // There is no origin behind a worker here.
  passThroughOnException() {}
}
