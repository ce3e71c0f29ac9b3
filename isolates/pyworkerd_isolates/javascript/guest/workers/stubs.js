// Stubs as programs see them, and what others may call of what a program lends.

import { call, rejection } from "pyworkerd:system/calls";
import { disposedError, drop, Own, Reference } from "pyworkerd:system/lending";
import { needed, within } from "pyworkerd:system/loop";
import { emit } from "pyworkerd:system/outbox";
import { Inbound } from "pyworkerd:system/streams";
import { crossing, readValue, readWith, writeMessage } from "pyworkerd:system/values";
import { bodyOfSource } from "pyworkerd:web/body";
import { RpcTarget } from "pyworkerd:workers/entrypoint";
import { member, NEVER, pipelined } from "pyworkerd:workers/pipelining";
import { Remote } from "pyworkerd:workers/writables";

const handlers = new WeakMap();
// Of each stub: a proxy says nothing of itself that it does not have from its handler.

crossing.lends = (value) => typeof value === "function" || value instanceof RpcTarget;

// What is lent by a value: of a stub of something that is this isolate's own, that.
crossing.targetOf = (value) => handlers.get(value)?.own() ?? value;

// The number of a stub, which may have been disposed of; null for what is none.
crossing.numberOf = (value) => handlers.get(value)?.needed() ?? null;

// A function or an object of another worker, as it comes with calls and their results; or, made here, of one's own, to
// have it disposed of when all have let go of it, oneself among them.
export class RpcStub {
  constructor(target) {
    const handler = handlers.get(target);
    if (handler !== undefined) return handler.dup();
    if (!crossing.lends(target)) {
      throw new TypeError("new RpcStub() takes a function, or an object of a class that extends RpcTarget");
    }
    return StubHandler.stub(new Own(target, needed()));
  }

  static [Symbol.hasInstance](value) {
    return typeof value === "function" && handlers.has(value);
  }
}

class StubHandler {
  #reference;
  #disposed = false;

  constructor(reference) {
    this.#reference = reference;
  }

  static stub(reference) {
    const handler = new StubHandler(reference);
    const stub = new Proxy(() => {}, handler);
    handlers.set(stub, handler);
    return stub;
  }

  needed() {
    if (this.#disposed) throw disposedError();
    return this.#reference.needed();
  }

  // A stream into what it leads to.
  static writable(reference) {
    return within(reference.invocation, () => new Remote(new StubHandler(reference))).stream;
  }

  // What it leads to, if that is this isolate's own.
  own() {
    return this.needed() === null ? this.#reference.target : undefined;
  }

  dup() {
    this.needed();
    this.#reference.count += 1;
    return StubHandler.stub(this.#reference);
  }

  dispose() {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#reference.drop();
  }

  async ask(name, reads, positional) {
    const number = this.needed();
    const message = writeMessage([positional, {}]);
    if (number === null) return askOwn(this.#reference.target, name, reads, message);
    return call([number, reads], name, message);
  }

  // what a proxy asks -------------------------------------------------------------------------------------------------

  get(_, name) {
    switch (name) {
      case Symbol.dispose:
        return () => this.dispose();
      case Symbol.toPrimitive:
        return () => "[object RpcStub]";
      case Symbol.toStringTag:
        return "RpcStub";
      case "dup":
        return () => this.dup();
      case "constructor":
        return RpcStub;
    }
    if (typeof name === "symbol" || NEVER.has(name)) return undefined;
    return member(
      () => this.ask(name, true, []),
      (positional) => this.ask(name, false, positional),
    );
  }

  apply(_, self, positional) {
    return pipelined(this.ask("", false, positional));
  }

  getPrototypeOf() { return RpcStub.prototype; }
  setPrototypeOf() { return false; }
  defineProperty() { return false; }
  deleteProperty() { return false; }
  set() { return false; }
  preventExtensions() { return false; }
  has() { return false; }
  ownKeys() { return []; }
  getOwnPropertyDescriptor() { return undefined; }
}

// The value of a message whose stubs have these numbers and whose bodies stream so, and the stubs in it. Where it
// throws, nothing is kept.
crossing.readShared = (frame, numbers, invocation) => {
  if (numbers === null) {
    throw new RangeError(
      "it names more stubs or streams than this isolate, or this request, may hold: dispose of some that it has",
    );
  }
  const stubs = new Map();
  const bodies = new Map();
  const writables = new Map();
  const stub = (place) => {
    if (!Number.isInteger(place) || typeof numbers[place] !== "number") {
      throw new TypeError("a stub cannot be received here");
    }
    if (writables.has(place)) throw new TypeError("a stub cannot be received here");
    if (!stubs.has(place)) stubs.set(place, StubHandler.stub(new Reference(numbers[place], invocation)));
    return stubs.get(place);
  };
  const body = (place) => {
    if (!Number.isInteger(place) || !Array.isArray(numbers[place]) || bodies.has(place)) {
      throw new TypeError("a stream cannot be received here");
    }
    const [, number, length] = numbers[place];
    const source = new Inbound(number, invocation);
    bodies.set(place, source);
    return bodyOfSource(source, length ?? undefined).readable();
  };
  const WritableStream = (place) => {
    if (!Number.isInteger(place) || typeof numbers[place] !== "number" || stubs.has(place) || writables.has(place)) {
      throw new TypeError("a WritableStream cannot be received here");
    }
    writables.set(place, new Reference(numbers[place], invocation));
    return StubHandler.writable(writables.get(place));
  };
  try {
    const value = readWith(frame, { __proto__: crossing.readers, stub, body, WritableStream });
    return { value, stubs: [...stubs.values()] };
  } catch (error) {
    crossing.dispose(stubs.values());
    for (const source of bodies.values()) source.cancel();
    for (const reference of writables.values()) reference.drop();
    throw error;
  } finally {
    crossing.drop(numbers.filter((_, place) => !stubs.has(place) && !bodies.has(place) && !writables.has(place)));
  }
};

// Nobody takes what was named beside a value; null where there was no room for it.
crossing.drop = (numbers) => {
  for (const each of numbers ?? []) {
    if (typeof each === "number") drop(each);
    else emit(["stop", each[1]]);
  }
};

crossing.dispose = (stubs) => {
  for (const stub of stubs) handlers.get(stub).dispose();
};

// A result with stubs in it can be disposed of as a whole, unless it is one.
crossing.disposable = ({ value, stubs }) => {
  if (stubs.length > 0 && typeof value === "object" && value !== null) {
    Object.defineProperty(value, Symbol.dispose, {
      value: () => crossing.dispose(stubs), writable: true, enumerable: false, configurable: true,
    });
  }
  return value;
};

// A call through a stub of one's own: its values are copied, and lent, as if it came from elsewhere.
async function askOwn(target, name, reads, message) {
  const { value: [positional], stubs } = readOwn(message);
  try {
    const method = lentMember(target, name, reads);
    if (method === undefined) throw rejection("no_method", missing(name, reads), null);
    return crossing.disposable(readOwn(writeMessage(await method(...positional))));
  } finally {
    crossing.dispose(stubs);
  }
}

function readOwn(message) {
  if (message instanceof Uint8Array) return { value: readValue(message), stubs: [] };
  const stubs = [];
  const stub = (place) => {
    stubs.push(new RpcStub(message.targets[place]));
    return stubs.at(-1);
  };
  const body = (place) => {
    const { source, stream, length } = message.targets[place].back();
    return source === null ? stream : bodyOfSource(source, length).readable();
  };
  const WritableStream = (place) => message.targets[place]._back();
  return { value: readWith(message.bytes, { __proto__: crossing.readers, stub, body, WritableStream }), stubs };
}

// What is said where there is no such member.
export function missing(name, reads) {
  const what = name === "" ? "function" : `${reads ? "property" : "method"} "${name}"`;
  return `The RPC receiver does not implement the ${what}.`;
}

// What somebody else means by the name of a method or a property of something that is lent: a function that does it, or
// undefined.
export function lentMember(target, name, reads) {
  if (typeof target === "function") return name === "" && !reads ? target : undefined;
  if (name === "" || name.startsWith("_") || NEVER.has(name) || Object.hasOwn(target, name)) return undefined;
  const found = descriptorOf(target, name);
  if (typeof found?.value === "function") {
    const method = (...positional) => Reflect.apply(found.value, target, positional);
    return reads ? () => method : method;
  }
  return reads && found?.get !== undefined ? () => Reflect.apply(found.get, target, []) : undefined;
}

// As the classes of an object define it, below RpcTarget.
function descriptorOf(target, name) {
  let kind = Object.getPrototypeOf(target);
  while (kind !== null && kind !== RpcTarget.prototype && kind !== Object.prototype) {
    const found = Object.getOwnPropertyDescriptor(kind, name);
    if (found !== undefined) return found;
    kind = Object.getPrototypeOf(kind);
  }
  return undefined;
}
