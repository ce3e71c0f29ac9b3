// FormData (https://xhr.spec.whatwg.org/#interface-formdata).

import { File, blobBytes, makeFile } from "pyworkerd:web/blob";
import { alias, expose, pairIterator, requireArguments, requireFunction, scalarString } from "pyworkerd:web/idl";

const CUSTOM = Symbol.for("nodejs.util.inspect.custom");
const pairs = pairIterator("FormData");

let listIn, fromList;

export class FormData {
  #list = [];

  constructor(form = undefined) {
    if (form !== undefined) throw new TypeError("FormData constructor: there are no forms here.");
  }

  static {
    listIn = (value) => (typeof value === "object" && value !== null && #list in value ? value.#list : undefined);
    fromList = (list) => {
      const form = new FormData();
      form.#list = list;
      return form;
    };
  }

  append(name, value, filename = undefined) {
    requireArguments(arguments.length, 2, "'append' on 'FormData'");
    this.#list.push(entry(name, value, filename, arguments.length > 2));
  }

  delete(name) {
    requireArguments(arguments.length, 1, "'delete' on 'FormData'");
    const key = scalarString(name);
    this.#list = this.#list.filter((pair) => pair[0] !== key);
  }

  get(name) {
    requireArguments(arguments.length, 1, "'get' on 'FormData'");
    const key = scalarString(name);
    return this.#list.find((pair) => pair[0] === key)?.[1] ?? null;
  }

  getAll(name) {
    requireArguments(arguments.length, 1, "'getAll' on 'FormData'");
    const key = scalarString(name);
    return this.#list.filter((pair) => pair[0] === key).map((pair) => pair[1]);
  }

  has(name) {
    requireArguments(arguments.length, 1, "'has' on 'FormData'");
    const key = scalarString(name);
    return this.#list.some((pair) => pair[0] === key);
  }

  set(name, value, filename = undefined) {
    requireArguments(arguments.length, 2, "'set' on 'FormData'");
    const made = entry(name, value, filename, arguments.length > 2);
    const first = this.#list.findIndex((pair) => pair[0] === made[0]);
    const kept = this.#list.filter((pair, i) => pair[0] !== made[0] || i === first);
    if (first < 0) kept.push(made);
    else kept[first] = made;
    this.#list = kept;
  }

  forEach(callback, thisArgument = undefined) {
    requireFunction(callback, "FormData.forEach");
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
    return items.length === 0 ? "FormData {}" : `FormData { ${items.join(", ")} }`;
  }
}
expose(FormData);
alias(FormData, Symbol.iterator, "entries");

function entry(name, value, filename, named) {
  const key = scalarString(name);
  const bytes = blobBytes(value);
  if (bytes === undefined) {
    if (named) throw new TypeError("FormData: a file name is for Blobs, and the value is none.");
    return [key, scalarString(value)];
  }
  if (value instanceof File && !named) return [key, value];
  // As another file of the same time, where it is one.
  return [key, makeFile(bytes, named ? filename : "blob", value.type, value.lastModified)];
}

/** The [name, value] pairs of a form, or undefined for anything else. */
export const formList = (value) => listIn(value);

/** A form of such pairs. */
export const makeForm = (list) => fromList(list);
