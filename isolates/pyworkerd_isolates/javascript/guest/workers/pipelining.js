// What a call will return can be asked already: `await env.SERVICE.counter().increment()`. The second call goes out
// when the first one is answered.

export const NEVER = new Set(["", "constructor", "dup", "then", "toJSON"]);
// Names that are no methods: those of stubs, and those by which an object is taken for something else.

const inert = () => {};

class MemberHandler {
  #read;
  #call;
  #reading = null;

  constructor(read, call) {
    this.#read = read;
    this.#call = call;
  }

  #value() {
    return (this.#reading ??= this.#read());
  }

  get(_, name) {
    if (name === "then" || name === "catch" || name === "finally") {
      return (...callbacks) => this.#value()[name](...callbacks);
    }
    if (name === Symbol.toPrimitive) return () => "[object RpcProperty]";
    if (typeof name === "symbol" || NEVER.has(name)) return undefined;
    return memberOfPromise(() => this.#value(), name);
  }

  apply(_, self, positional) {
    return pipelined(this.#call(positional));
  }

  set() { return false; }
  defineProperty() { return false; }
  setPrototypeOf() { return false; }
}

// A name of something that another worker has: called, it is a method; awaited, a property.
export function member(read, call) {
  return new Proxy(inert, new MemberHandler(read, call));
}

function memberOfPromise(promise, name) {
  return member(
    async () => memberOfValue(await promise(), name),
    async (positional) => Reflect.apply(memberOfValue(await promise(), name), undefined, positional),
  );
}

function memberOfValue(value, name) {
  // A stub has every name; what was copied has its own.
  if (typeof value === "function" || (typeof value === "object" && value !== null && Object.hasOwn(value, name))) {
    return value[name];
  }
  throw new TypeError(`what was returned has no '${name}'`);
}

// A promise has its own methods, and below them everything is a member of what it will be.
const members = new Proxy(Object.create(Promise.prototype), {
  get(target, name, promise) {
    if (typeof name === "symbol" || name in target || NEVER.has(name)) return Reflect.get(target, name, promise);
    return memberOfPromise(() => promise, name);
  },
});

export const prototype = Object.create(members);
adopt();

// `Promise.prototype` has other methods from now on (`system/contexts`).
export function adopt() {
  for (const name of ["constructor", "then", "catch", "finally"]) {
    Object.defineProperty(prototype, name, Object.getOwnPropertyDescriptor(Promise.prototype, name));
  }
}

// The same promise, as that of a call.
export function pipelined(promise) {
  return Object.setPrototypeOf(promise, prototype);
}
