// What WebIDL says of every interface: how its members look from outside, and how its arguments are converted.

/** Gives a class the shape that WebIDL gives an interface: members enumerable, its name as its tag.
 *  `constants` become properties of the class and of its prototype. */
export function expose(interfaceClass, constants = {}) {
  const prototype = interfaceClass.prototype;
  makeEnumerable(prototype, "constructor");
  makeEnumerable(interfaceClass, "length", "name", "prototype");
  for (const [name, value] of Object.entries(constants)) {
    for (const holder of [interfaceClass, prototype]) {
      Object.defineProperty(holder, name, { value, enumerable: true });
    }
  }
  Object.defineProperty(prototype, Symbol.toStringTag, { value: interfaceClass.name, configurable: true });
  prototypes.set(prototype, interfaceClass.name);
  return interfaceClass;
}

/** What the objects of a class of our own have as long as it is not set: to set a property costs as much as a call, and
 *  an object of few properties is smaller. */
export function inherit(ownClass, properties) {
  Object.assign(ownClass.prototype, properties);
}

/** The engine notes in which order objects get their properties, as long as there is one that did. Here are some for
 *  good, of a class of our own whose constructor sets these properties: so none of it is noted anew in each step. */
export function keepShapes(ownClass, ...names) {
  for (let count = 0; count <= names.length; count++) {
    const one = Object.create(ownClass.prototype);
    for (const name of names.slice(0, count)) defineProperty(one, name, OWN);
    kept.push(one);
  }
}

const kept = [];
const { defineProperty } = Reflect;
const OWN = { value: undefined, writable: true, enumerable: true, configurable: true };

const prototypes = new WeakMap();

/** The interface's name, where the value is a prototype of one or has such a prototype; for printing. */
export function platformName(value) {
  if (value === null) return undefined;
  return prototypes.get(value) ?? prototypes.get(Object.getPrototypeOf(value));
}

function makeEnumerable(holder, ...except) {
  for (const name of Object.getOwnPropertyNames(holder)) {
    if (!except.includes(name)) Object.defineProperty(holder, name, { enumerable: true });
  }
}

/** A second name for a method, as `Symbol.iterator` is one for `entries`. */
export function alias(interfaceClass, symbol, name) {
  const value = interfaceClass.prototype[name];
  Object.defineProperty(interfaceClass.prototype, symbol, { value, writable: true, configurable: true });
}

/** Throws what a call with too few arguments throws. */
export function requireArguments(given, wanted, where) {
  if (given < wanted) {
    const noun = wanted === 1 ? "argument" : "arguments";
    throw new TypeError(`Failed to execute ${where}: ${wanted} ${noun} required, but only ${given} present.`);
  }
}

/** Throws what a call with something else than a function throws. */
export function requireFunction(value, where) {
  if (typeof value !== "function") throw new TypeError(`${where}: the argument must be a function.`);
}

/** What a constructor that nobody may call throws. */
export function illegalConstructor() {
  return new TypeError("Illegal constructor");
}

/** What a method that returns a promise returns where `this` is of another class. */
export function illegalInvocation() {
  return Promise.reject(new TypeError("Illegal invocation"));
}

/** A dictionary argument: undefined and null are an empty one, any other primitive is an error. */
export function dictionary(value, where) {
  if (value === undefined || value === null) return EMPTY;
  if (typeof value !== "object" && typeof value !== "function") {
    throw new TypeError(`${where}: the options must be an object.`);
  }
  return value;
}

const EMPTY = Object.freeze(Object.create(null));

/** A member of an object that has to be a function, or undefined. */
export function methodOf(object, name, where) {
  const value = object[name];
  if (value !== undefined && typeof value !== "function") {
    throw new TypeError(`${where}: \`${name}\` must be a function.`);
  }
  return value;
}

/** A string without lone surrogates (WebIDL's USVString). */
export function scalarString(value) {
  const text = typeof value === "string" ? value : `${value}`;
  return text.isWellFormed() ? text : text.toWellFormed();
}

/** A whole number of 0 to 2 to the 53rd less one, or a TypeError (`[EnforceRange] unsigned long long`). */
export function enforceRange(value, where) {
  const number = Math.trunc(Number(value));
  if (!(number >= 0 && number <= Number.MAX_SAFE_INTEGER)) {
    throw new TypeError(`${where}: ${String(value)} is not a number of 0 to 2^53 - 1.`);
  }
  return number === 0 ? 0 : number;
}

/** The iterator that maps, sets of headers and forms give: its prototype has `next`, and the tag says whose it is.
 *  `entryAt(position)` gives [key, value] or undefined; so what is added while one iterates is seen. */
export function pairIterator(tag) {
  class Pairs {
    #entryAt;
    #kind;
    #position = 0;
    constructor(entryAt, kind) {
      this.#entryAt = entryAt;
      this.#kind = kind;
    }
    next() {
      const entry = this.#entryAt(this.#position);
      if (entry === undefined) return { value: undefined, done: true };
      this.#position += 1;
      return { value: this.#kind === "entries" ? entry : entry[this.#kind === "keys" ? 0 : 1], done: false };
    }
  }
  Object.setPrototypeOf(Pairs.prototype, Iterator.prototype);
  Object.defineProperty(Pairs.prototype, "next", { enumerable: true });
  Object.defineProperty(Pairs.prototype, Symbol.toStringTag, { value: `${tag} Iterator`, configurable: true });
  delete Pairs.prototype.constructor;
  return (entryAt, kind) => new Pairs(entryAt, kind);
}
