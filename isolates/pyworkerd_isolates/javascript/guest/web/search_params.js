// URLSearchParams (https://url.spec.whatwg.org/#interface-urlsearchparams).

import { alias, expose, pairIterator, requireArguments, requireFunction, scalarString } from "pyworkerd:web/idl";
import { formDecode, formEncode } from "pyworkerd:web/percent";

const CUSTOM = Symbol.for("nodejs.util.inspect.custom");
const pairs = pairIterator("URLSearchParams");

/** The [name, value] pairs of an application/x-www-form-urlencoded text. */
export function parseForm(text) {
  const list = [];
  const parts = text.split("&");
  for (let i = 0; i < parts.length; i += 1) {
    const part = parts[i];
    if (part === "") continue;
    const at = part.indexOf("=");
    list.push(at < 0 ? [formDecode(part), ""] : [formDecode(part.slice(0, at)), formDecode(part.slice(at + 1))]);
  }
  return list;
}

/** That text again. */
export const serializeForm = (list) =>
  list.map(([name, value]) => `${formEncode(name)}=${formEncode(value)}`).join("&");

function listOf(init) {
  if (typeof init !== "object" && typeof init !== "function" || init === null) {
    const text = scalarString(init);
    return parseForm(text.startsWith("?") ? text.slice(1) : text);
  }
  const iterate = init[Symbol.iterator];
  if (iterate === undefined || iterate === null) {
    const named = new Map();
    for (const key of Reflect.ownKeys(init)) {
      if (!Object.getOwnPropertyDescriptor(init, key)?.enumerable) continue;
      if (typeof key === "symbol") throw new TypeError("URLSearchParams constructor: a name must not be a Symbol.");
      named.set(scalarString(key), scalarString(init[key]));
    }
    return [...named];
  }
  return Array.from({ [Symbol.iterator]: () => iterate.call(init) }, (pair) => {
    const items = typeof pair === "object" && pair !== null ? [...pair] : [];
    if (items.length !== 2) throw new TypeError("URLSearchParams constructor: each item must be a [name, value] pair.");
    return items.map(scalarString);
  });
}

let attach, reset, listIn;

export class URLSearchParams {
  #list;
  #update = null; // what a URL wants to hear of each change

  constructor(init = "") {
    this.#list = init === "" ? [] : listOf(init);
  }

  static {
    attach = (params, update) => { params.#update = update; };
    reset = (params, list) => { params.#list = list; };
    listIn = (params) => (#list in params ? params.#list : undefined);
  }

  #changed(list) {
    this.#list = list;
    this.#update?.(serializeForm(list));
  }

  get size() { return this.#list.length; }

  append(name, value) {
    requireArguments(arguments.length, 2, "'append' on 'URLSearchParams'");
    this.#changed([...this.#list, [scalarString(name), scalarString(value)]]);
  }

  delete(name, value = undefined) {
    requireArguments(arguments.length, 1, "'delete' on 'URLSearchParams'");
    const [key, wanted] = [scalarString(name), value === undefined ? undefined : scalarString(value)];
    this.#changed(this.#list.filter((pair) => pair[0] !== key || (wanted !== undefined && pair[1] !== wanted)));
  }

  get(name) {
    if (name === undefined) requireArguments(arguments.length, 1, "'get' on 'URLSearchParams'");
    const key = scalarString(name);
    const list = this.#list;
    for (let i = 0; i < list.length; i += 1) if (list[i][0] === key) return list[i][1];
    return null;
  }

  getAll(name) {
    requireArguments(arguments.length, 1, "'getAll' on 'URLSearchParams'");
    const key = scalarString(name);
    return this.#list.filter((pair) => pair[0] === key).map((pair) => pair[1]);
  }

  has(name, value = undefined) {
    requireArguments(arguments.length, 1, "'has' on 'URLSearchParams'");
    const [key, wanted] = [scalarString(name), value === undefined ? undefined : scalarString(value)];
    return this.#list.some((pair) => pair[0] === key && (wanted === undefined || pair[1] === wanted));
  }

  set(name, value) {
    requireArguments(arguments.length, 2, "'set' on 'URLSearchParams'");
    const [key, text] = [scalarString(name), scalarString(value)];
    const first = this.#list.findIndex((pair) => pair[0] === key);
    const kept = this.#list.filter((pair, i) => pair[0] !== key || i === first);
    if (first < 0) kept.push([key, text]);
    else kept[first] = [key, text];
    this.#changed(kept);
  }

  sort() {
    this.#changed(this.#list.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  }

  toString() { return serializeForm(this.#list); }

  forEach(callback, thisArgument = undefined) {
    requireArguments(arguments.length, 1, "'forEach' on 'URLSearchParams'");
    requireFunction(callback, "URLSearchParams.forEach");
    for (let i = 0; i < this.#list.length; i += 1) {
      const [name, value] = this.#list[i];
      callback.call(thisArgument, value, name, this);
    }
  }

  entries() { return pairs(this.#at(), "entries"); }
  keys() { return pairs(this.#at(), "keys"); }
  values() { return pairs(this.#at(), "values"); }

  #at() {
    this.#list; // of another class: a TypeError here and not later
    return (position) => this.#list[position]?.slice();
  }

  [CUSTOM](_depth, _options, inspect) {
    const items = this.#list.map(([name, value]) => `${inspect(name)} => ${inspect(value)}`);
    return items.length === 0 ? "URLSearchParams {}" : `URLSearchParams { ${items.join(", ")} }`;
  }
}
expose(URLSearchParams);
alias(URLSearchParams, Symbol.iterator, "entries");

/** The parameters of a URL, which is told of each change. */
export function attachedParams(query, update) {
  const params = new URLSearchParams();
  reset(params, parseForm(query));
  attach(params, update);
  return params;
}

/** Gives them another query, without telling their URL. */
export const resetParams = (params, query) => reset(params, parseForm(query));

/** The [name, value] pairs of an object that has them, or undefined. */
export const paramsList = (params) => listIn(params);
