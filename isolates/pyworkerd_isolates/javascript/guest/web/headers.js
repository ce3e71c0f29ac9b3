// Headers (https://fetch.spec.whatwg.org/#headers-class), as Workers have them: with `getAll("set-cookie")`.

import { alias, expose, pairIterator, requireFunction } from "pyworkerd:web/idl";

const CUSTOM = Symbol.for("nodejs.util.inspect.custom");
const COOKIE = "set-cookie";
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const USUAL_VALUE = /^[\x21-\xff](?:[\t\x20-\xff]*[\x21-\xff])?$/; // nothing to trim, and nothing to refuse
const { ownKeys } = Reflect;
const { propertyIsEnumerable: isEnumerable } = Object.prototype;
const BREAKS = /[\0\r\n]/;
const pairs = pairIterator("Headers");

// Names that were seen to be right, with what they are in lower case: a look-up in place of two passes.
const known = new Map();
const MOST_KNOWN = 256;
for (const name of [
  "Accept", "Accept-Encoding", "Accept-Language", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
  "Access-Control-Allow-Origin", "Access-Control-Max-Age", "Age", "Allow", "Authorization", "Cache-Control",
  "Connection", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length", "Content-Location",
  "Content-Range", "Content-Security-Policy", "Content-Type", "Cookie", "Date", "ETag", "Expires", "Forwarded", "Host",
  "If-Match", "If-Modified-Since", "If-None-Match", "Last-Modified", "Link", "Location", "Origin", "Pragma", "Range",
  "Referer", "Referrer-Policy", "Retry-After", "Server", "Set-Cookie", "Strict-Transport-Security", "Transfer-Encoding",
  "Upgrade", "User-Agent", "Vary", "Via", "WWW-Authenticate", "X-Content-Type-Options", "X-Forwarded-For",
  "X-Forwarded-Host", "X-Forwarded-Proto", "X-Frame-Options", "X-Request-ID",
]) {
  known.set(name, name.toLowerCase());
  known.set(name.toLowerCase(), name.toLowerCase());
}

function nameOf(value) {
  const found = known.get(value);
  if (found !== undefined) return found;
  const name = `${value}`;
  if (!NAME.test(name)) throw new TypeError(`Invalid header name: ${JSON.stringify(name)}.`);
  const lower = name.toLowerCase();
  if (known.size < MOST_KNOWN && name.length < 64) known.set(name, lower);
  return lower;
}

// Values that were seen to be right: what a worker writes into its answers is mostly the same.
const right = new Set();
const MOST_RIGHT = 256;

function valueOf(value, name) {
  if (right.has(value)) return value;
  let text = typeof value === "string" ? value : `${value}`;
  if (USUAL_VALUE.test(text)) {
    if (right.size < MOST_RIGHT && text.length < 64) right.add(text);
    return text;
  }
  text = text.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
  if (BREAKS.test(text)) throw new TypeError(`Invalid value of the header ${name}: it has a line break or a NUL.`);
  if (/[^\x00-\xff]/.test(text)) {
    throw new TypeError(`Invalid value of the header ${name}: it has a character above U+00FF.`);
  }
  return text;
}

let fromPairs, flat, lock, copyOf, lookUp, setIfAbsent;

export class Headers {
  #map = new Map(); // lower case, values of a name joined
  #cookies = null; // Set-Cookie alone is not joined
  #locked = false;
  #changes = 0; // since it was made, so that what iterates sees them

  constructor(init = undefined) {
    if (init !== undefined) this.#fill(init);
  }

  static {
    // From names in lower case and values that are right, as [name, value] pairs.
    fromPairs = (list) => {
      const headers = new Headers();
      const map = headers.#map;
      const size = list.length;
      for (let i = 0; i < size; i += 1) {
        const pair = list[i];
        map.set(pair[0], pair[1]);
      }
      // Mostly no name comes twice.
      if (map.size !== size || map.has(COOKIE)) headers.#join(list);
      return headers;
    };
    flat = (headers) => {
      const list = [...headers.#map];
      if (headers.#cookies !== null) for (const value of headers.#cookies) list.push([COOKIE, value]);
      return list;
    };
    lock = (headers) => {
      headers.#locked = true;
      return headers;
    };
    copyOf = (other) => {
      const headers = new Headers();
      headers.#map = new Map(other.#map);
      headers.#cookies = other.#cookies?.slice() ?? null;
      return headers;
    };
    lookUp = (headers, name) => headers.#map.get(name) ?? null;
    setIfAbsent = (headers, name, value) => {
      if (!headers.#map.has(name)) headers.#map.set(name, value);
    };
  }

  #fill(init) {
    if (init !== null && typeof init === "object") {
      if (#map in init && init[Symbol.iterator] === Headers.prototype.entries) {
        this.#map = new Map(init.#map);
        this.#cookies = init.#cookies?.slice() ?? null;
        return;
      }
      const iterate = init[Symbol.iterator];
      if (iterate === undefined || iterate === null) {
        const names = ownKeys(init);
        for (let i = 0; i < names.length; i += 1) {
          const given = names[i];
          if (!isEnumerable.call(init, given)) continue; // asked one by one, as of a record: a Proxy sees it
          const name = nameOf(given);
          this.#add(name, valueOf(init[given], name));
        }
        return;
      }
      for (const pair of { [Symbol.iterator]: () => iterate.call(init) }) {
        const items = pair !== null && typeof pair === "object" ? [...pair] : [];
        if (items.length !== 2) throw new TypeError("Headers constructor: each item must be a [name, value] pair.");
        this.#append(nameOf(items[0]), items[1]);
      }
      return;
    }
    throw new TypeError("Headers constructor: the argument must be an object, pairs or Headers.");
  }

  #join(list) {
    this.#map.clear();
    for (const [name, value] of list) this.#add(name, value);
  }

  #append(name, value) { this.#add(name, valueOf(value, name)); }

  #add(name, text) {
    if (name === COOKIE) {
      (this.#cookies ??= []).push(text);
      return;
    }
    const map = this.#map;
    const before = map.get(name);
    map.set(name, before === undefined ? text : `${before}, ${text}`);
  }

  #change() {
    if (this.#locked) throw new TypeError("Can't modify immutable headers.");
    this.#changes += 1;
  }

  append(name, value) {
    const key = nameOf(name);
    valueOf(value, key);
    this.#change();
    this.#append(key, value);
  }

  delete(name) {
    const key = nameOf(name);
    this.#change();
    if (key === COOKIE) this.#cookies = null;
    else this.#map.delete(key);
  }

  get(name) {
    const key = nameOf(name);
    if (key === COOKIE) return this.#cookies?.join(", ") ?? null;
    return this.#map.get(key) ?? null;
  }

  getAll(name) {
    if (nameOf(name) !== COOKIE) {
      throw new TypeError('getAll() can only be used with the header name "Set-Cookie".');
    }
    return this.getSetCookie();
  }

  getSetCookie() { return this.#cookies?.slice() ?? []; }

  has(name) {
    const key = nameOf(name);
    return key === COOKIE ? this.#cookies !== null : this.#map.has(key);
  }

  set(name, value) {
    const key = nameOf(name);
    const text = valueOf(value, key);
    this.#change();
    if (key === COOKIE) this.#cookies = [text];
    else this.#map.set(key, text);
  }

  // By name, as iterating wants them.
  #sorted() {
    return flat(this).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  }

  forEach(callback, thisArgument = undefined) {
    requireFunction(callback, "Headers.forEach");
    for (const [name, value] of this) callback.call(thisArgument, value, name, this);
  }

  entries() { return pairs(this.#at(), "entries"); }
  keys() { return pairs(this.#at(), "keys"); }
  values() { return pairs(this.#at(), "values"); }

  #at() {
    let list = this.#sorted();
    let changes = this.#changes;
    return (position) => {
      if (changes !== this.#changes) {
        list = this.#sorted();
        changes = this.#changes;
      }
      return list[position];
    };
  }

  [CUSTOM](_depth, _options, inspect) {
    return `Headers ${inspect(Object.fromEntries(this))}`;
  }
}
Object.defineProperty(Headers, "length", { value: 0, configurable: true });
expose(Headers);
alias(Headers, Symbol.iterator, "entries");

/** `headersFromPairs(list)`: from pairs that the host vouches for. `pairsOf(headers)`: all of them, for the host. */
export { fromPairs as headersFromPairs, flat as pairsOf };
/** `lock(headers)` makes them immutable; `copyOf(headers)` gives others; `lookUp` and `setIfAbsent` take lower case. */
export { copyOf, lock, lookUp, setIfAbsent };
