// The module "node:async_hooks" (https://nodejs.org/api/async_context.html).

import { bound, enterFrame, frame, install, runWith } from "pyworkerd:system/contexts";
import { invalidType, missing, requireFunction, requireString } from "pyworkerd:node_parts/errors";

install(globalThis);

export class AsyncLocalStorage {
  #key = {}; // another one when it was disabled: what was stored before is not found then
  #default;
  #name;

  constructor(options = undefined) {
    this.#default = options?.defaultValue;
    this.#name = options?.name ?? "";
  }

  static bind(callback) {
    requireFunction(callback, "fn");
    return AsyncResource.bind(callback);
  }

  /** A function that calls another one in the context of now. */
  static snapshot() {
    const call = bound((callback, ...values) => callback(...values));
    return (callback, ...values) => {
      requireFunction(callback, "fn");
      return call(callback, ...values);
    };
  }

  get name() { return this.#name; }

  getStore() {
    return frame !== null && frame.has(this.#key) ? frame.get(this.#key) : this.#default;
  }

  run(store, callback, ...values) {
    requireFunction(callback, "callback");
    return runWith(this.#with(store), callback, undefined, values);
  }

  exit(callback, ...values) {
    return this.run(undefined, callback, ...values);
  }

  enterWith(store) {
    enterFrame(this.#with(store));
  }

  disable() {
    this.#key = {};
  }

  #with(store) {
    return new Map(frame ?? []).set(this.#key, store);
  }
}

let resources = 0;

/** Work that goes on later in the context in which it was begun. */
export class AsyncResource {
  #call = bound((callback, self, values) => Reflect.apply(callback, self, values));
  #id = (resources += 1);
  #type;

  constructor(type, options = undefined) {
    requireString(type, "type");
    if (options !== undefined && typeof options !== "number" && (options === null || typeof options !== "object")) {
      throw invalidType("options", "of type object or number", options);
    }
    this.#type = type;
  }

  static bind(callback, type = undefined, self = undefined) {
    return new AsyncResource(type ?? (callback.name || "bound-anonymous-fn")).bind(callback, self);
  }

  get type() { return this.#type; }

  bind(callback, self = undefined) {
    requireFunction(callback, "fn");
    const call = this.#call;
    const made = function (...values) {
      return call(callback, self === undefined ? this : self, values);
    };
    return Object.defineProperty(made, "length", { value: callback.length, configurable: true });
  }

  runInAsyncScope(callback, self = undefined, ...values) {
    return this.#call(callback, self, values);
  }

  emitDestroy() { return this; }
  asyncId() { return this.#id; }
  triggerAsyncId() { return 0; }
}

const unavailable = (name) => () => { throw missing(`async_hooks.${name}`); };
export const createHook = unavailable("createHook");
export const executionAsyncId = unavailable("executionAsyncId");
export const executionAsyncResource = unavailable("executionAsyncResource");
export const triggerAsyncId = unavailable("triggerAsyncId");

export default {
  AsyncLocalStorage, AsyncResource, createHook, executionAsyncId, executionAsyncResource, triggerAsyncId,
};
