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

export const wrappers = new Map();
// Extensions that bindings are made by: what they export, by their names.

const inner = new Map();
// Bindings for the function alone that makes one, by the name of that one.

function innerOf(name) {
  if (!inner.has(name)) inner.set(name, {});
  return inner.get(name);
}

// A binding that a function of an extension makes of others, when somebody asks for it.
function defineWrapped(target, key, name, { module, entrypoint }) {
  Object.defineProperty(target, key, {
    enumerable: true,
    configurable: true,
    get() {
      const make = wrappers.get(module)?.[entrypoint];
      if (typeof make !== "function") throw new TypeError(`the extension ${module} exports no function ${entrypoint}`);
      const value = make(innerOf(name));
      Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
      return value;
    },
  });
}

export function setBindings(bindings, about, blobs) {
  for (const name of Object.keys(env)) delete env[name];
  inner.clear();
  Object.assign(meta, about);
  for (const [name, kind, value, ...details] of bindings) {
    const slash = name.lastIndexOf("/");
    if (kind === "wrapped") {
      const target = slash < 0 ? env : innerOf(name.slice(0, slash));
      defineWrapped(target, name.slice(slash + 1), name, readValue(blobs[value]));
      if (slash < 0 && exposed !== null) {
        Reflect.defineProperty(exposed, name, { get: () => env[name], enumerable: true, configurable: true });
      }
      continue;
    }
    const made =
      kind === "value" ? readValue(blobs[value]) : shapes[kind]?.(value, ...details.map((each) => blobs[each]));
    if (made === undefined) {
      throw new TypeError(`the binding ${name} is of a kind that JavaScript workers cannot use yet: ${kind}`);
    }
    if (slash >= 0) {
      innerOf(name.slice(0, slash))[name.slice(slash + 1)] = made;
      continue;
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
