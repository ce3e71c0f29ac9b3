// Bindings that a program asks for by their names: `new ServiceBinding("auth")`, `D1Database.fromEnv("DB")`. They can
// be made at the top level, where there are no bindings yet, and lead to what is on `env` later, and to nothing else.

import { env } from "pyworkerd:system/environment";
import { current } from "pyworkerd:system/loop";
import { illegalConstructor } from "pyworkerd:web/idl";
import { D1Database as Database } from "pyworkerd:workers/d1";
import { Fetcher, methodsBy, withMethods } from "pyworkerd:workers/fetcher";

// What a worker has on `env` under one of these names, if it is of this kind.
function find(names, kind, what) {
  for (const name of names) if (Object.hasOwn(env, name) && env[name] instanceof kind) return env[name];
  if (current === null) throw new TypeError(`${what}: bindings come with the first event, and this is the top level`);
  throw new TypeError(`${what}: the configuration of this worker names no such binding`);
}

// A service as configurations name it, and what its binding may be called.
function spellings(name) {
  const identifier = name.replace(/[^A-Za-z0-9_]/g, "_");
  return [name, identifier, identifier.toUpperCase()];
}

// A URL without a host is one of the service.
function absolute(input, name) {
  if (typeof input !== "string" || URL.canParse(input)) return input;
  return new URL(input, `http://${name.replace(/[^A-Za-z0-9]/g, "-")}/`);
}

let serviceOf;

const METHODS = methodsBy((binding, method, positional) => serviceOf(binding)[method](...positional));

export class ServiceBinding {
  #name;

  constructor(name) {
    if (typeof name !== "string" || name === "") {
      throw new TypeError('new ServiceBinding(name) takes the name of a service, as in new ServiceBinding("auth")');
    }
    this.#name = name;
    if (current !== null) serviceOf(this); // a name that leads nowhere is told at once where that can be known
    return withMethods(this, METHODS);
  }

  static {
    serviceOf = (binding) =>
      find(spellings(binding.#name), Fetcher, `new ServiceBinding(${JSON.stringify(binding.#name)})`);
  }

  async fetch(input, init) {
    return serviceOf(this).fetch(absolute(input, this.#name), init);
  }
}

const MAKING = Symbol("a database is made here");

export class D1Database {
  #name;

  constructor(making, name) {
    if (making !== MAKING) throw illegalConstructor();
    this.#name = name;
  }

  static fromEnv(name) {
    const database = new D1Database(MAKING, String(name));
    if (current !== null) database.#found();
    return database;
  }

  static [Symbol.hasInstance](value) {
    return value instanceof Database || (typeof value === "object" && value !== null && #name in value);
  }

  #found() {
    return find([this.#name], Database, `D1Database.fromEnv(${JSON.stringify(this.#name)})`);
  }

  // One statement with its parameters, as `prepare(sql).bind(...parameters).run()`.
  async execute(sql, parameters = []) {
    return this.prepare(sql).bind(...parameters).run();
  }

  prepare(sql) { return this.#found().prepare(sql); }
  async batch(statements) { return this.#found().batch(statements); }
  async exec(sql) { return this.#found().exec(sql); }
  withSession(constraint = undefined) { return this.#found().withSession(constraint); }
  async dump() { return this.#found().dump(); }
}
