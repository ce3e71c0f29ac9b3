// `env.LOADER`: workers that are started from source at run time.

import { utf8 } from "pyworkerd:system/host";
import { current } from "pyworkerd:system/loop";
import { writeMessage, writeValue } from "pyworkerd:system/values";
import { Capability, indexOf } from "pyworkerd:workers/capability";
import { methodsBy, sendParts, withMethods } from "pyworkerd:workers/fetcher";
import { sendable } from "pyworkerd:workers/http";
import { asciiJson } from "pyworkerd:workers/json";

const ADDRESS = "x-pyworkerd-loaded";
// First header field of a request through the binding; the host takes it off.
const KEYS = {
  __proto__: null,
  compatibilityDate: "date",
  compatibilityFlags: "flags",
  allowExperimental: "experimental",
  mainModule: "main",
  modules: "modules",
  env: "env",
  globalOutbound: "outbound",
  limits: "limits",
};
// What the description of a worker may have. The first three are accepted, and mean nothing here.
const KINDS = { __proto__: null, js: "text", cjs: "text", py: "text", text: "text", data: "bytes", json: "json" };
const CODE = /\.(?:[mc]?[jt]s|py)$/;
const LIMITS = { __proto__: null, cpuMs: "cpu_ms", subRequests: "sub_requests", memoryMb: "memory_mb" };

// Starts workers. They see what they are given on their `env`, and nothing else.
export class WorkerLoader extends Capability {
  // The worker of this name, found again while it is loaded. Otherwise `callback` (async or not) describes it, perhaps
  // more than once. Without a name, a worker that nobody else finds. Nothing happens before it is used.
  get(name, callback) {
    if (name !== null && name !== undefined && typeof name !== "string") {
      throw new TypeError("the name of a loaded worker is a string or null");
    }
    if (typeof callback !== "function") {
      throw new TypeError("the second argument of get() is a function that describes the worker");
    }
    return new WorkerStub(this, name ?? "", async () => described(await callback()));
  }

  // A worker that nobody else finds, by its description.
  load(code) {
    const spec = described(code);
    return new WorkerStub(this, "", () => spec);
  }
}

let address, again;

// A worker that is loaded when it is used first.
export class WorkerStub {
  #loader;
  #name;
  #describe;
  #number = 0;
  #loading = null;

  constructor(loader, name, describe) {
    this.#loader = loader;
    this.#name = name;
    this.#describe = describe;
  }

  static {
    address = async (stub, rest) => [stub.#loader, `[${await stub.#load()},${rest}`];
    // After an attempt that failed: if the worker has gone meanwhile, nothing was done, and it is loaded once more.
    again = (stub, error) => {
      if (error?.code !== "not_loaded") throw error;
      stub.#number = 0;
    };
  }

  // Its default export, or the exported entrypoint of this name, with these `ctx.props`.
  getEntrypoint(name = null, options = undefined) {
    return withMethods(new LoadedEntrypoint(this, name, options?.props ?? null), METHODS);
  }

  // One invocation loads it once. Others do not wait for that: what it waits for ends with it.
  async #load() {
    if (this.#number !== 0) return this.#number;
    if (this.#loading?.invocation !== current) this.#loading = { invocation: current, number: this.#find() };
    const loading = this.#loading;
    try {
      this.#number = await loading.number;
    } finally {
      if (this.#loading === loading) this.#loading = null;
    }
    return this.#number;
  }

  async #find() {
    const known = this.#name === "" ? 0 : await Capability.call(this.#loader, "open", this.#name);
    return known || Capability.call(this.#loader, "load", this.#name, await this.#describe());
  }
}

// One exported entrypoint of a loaded worker: `fetch()` sends it a request, any other name is one of its RPC methods.
class LoadedEntrypoint {
  #stub;
  #rest;

  constructor(stub, name, props) {
    this.#stub = stub;
    this.#rest = asciiJson([name, props]).slice(1);
  }

  async fetch(input, init) {
    const parts = sendable(input, init);
    const { body } = parts;
    const isAtHand = body === null || (body.stream === null && body.source === null);
    try {
      return await this.#send(parts);
    } catch (error) {
      if (!isAtHand) throw error; // what was read of a stream is gone
      again(this.#stub, error);
    }
    return this.#send(parts);
  }

  async #send(parts) {
    const [loader, text] = await address(this.#stub, this.#rest);
    return sendParts(loader, { ...parts, pairs: [[ADDRESS, text], ...parts.pairs] });
  }

  static async call(entrypoint, method, positional) {
    const sent = writeMessage([positional, {}]);
    const ask = async () => {
      const [loader, text] = await address(entrypoint.#stub, entrypoint.#rest);
      return Capability.callWith(loader, "call", sent, text, method);
    };
    try {
      return await ask();
    } catch (error) {
      if (sent.streams?.length > 0) throw error; // what was read of a stream is gone
      again(entrypoint.#stub, error);
    }
    return ask();
  }
}

const METHODS = methodsBy(LoadedEntrypoint.call);

// A description in the host's words.
function described(code) {
  if (code === null || typeof code !== "object") throw new TypeError("a worker to load is described by an object");
  const found = { env: {}, outbound: null, limits: {} };
  for (const [key, value] of Object.entries(code)) {
    if (KEYS[key] === undefined) {
      throw new TypeError(`a worker to load has no '${key}'; there are ${Object.keys(KEYS).join(", ")}`);
    }
    if (value !== undefined && value !== null) found[KEYS[key]] = value;
  }
  const { main, modules, env, outbound, limits } = found;
  if (!main || typeof modules !== "object") throw new TypeError("a worker to load needs mainModule and modules");
  return {
    main,
    modules: Object.entries(modules).map(([name, module]) => [name, contentOf(name, module)]),
    env: Object.entries(env).map(([name, value]) => [name, granted(value)]),
    outbound: outbound === null ? null : indexOfStub(outbound),
    limits: Object.fromEntries(Object.entries(limits).map(([name, value]) => [LIMITS[name] ?? name, value])),
  };
}

function contentOf(name, module) {
  let kind = "js";
  let content = module;
  if (typeof module === "string") {
    if (!CODE.test(name)) {
      throw new TypeError(`module '${name}' is neither JavaScript nor Python: say what it is, as with { text: ... }`);
    }
  } else {
    const keys = Object.keys(module ?? {});
    if (keys.length !== 1 || KINDS[keys[0]] === undefined) {
      throw new TypeError(`module '${name}' must be a string, or have one of ${Object.keys(KINDS).join(", ")}`);
    }
    kind = keys[0];
    content = module[kind];
  }
  const wanted = KINDS[kind];
  if (wanted === "json") return utf8(JSON.stringify(content));
  if (wanted === "text" && typeof content === "string") return utf8(content);
  if (wanted === "bytes" && content instanceof ArrayBuffer) return new Uint8Array(content);
  if (wanted === "bytes" && ArrayBuffer.isView(content)) {
    return new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
  }
  throw new TypeError(`the content of module '${name}' must be ${wanted === "bytes" ? "bytes" : "a string"}`);
}

function granted(value) {
  return indexOf(value) ?? (value instanceof Capability ? indexOfStub(value) : writeValue(value));
}

function indexOfStub(value) {
  const index = indexOf(value);
  if (index === undefined) throw new TypeError("only a worker's own service stubs can be given to one that it loads");
  return index;
}
