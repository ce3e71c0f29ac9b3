// `storage.kv`: keys and values without `await`.

import { readStored, writeStored } from "pyworkerd:objects/stored";
import { decode, encode } from "pyworkerd:system/host";
import { expose, illegalConstructor } from "pyworkerd:web/idl";

const MAKING = Symbol("made here");
const MAX_KEY = 2048;
// Bytes of a key in UTF-8 (Workers: 2 KB).
const MAX_STORED = 131072;
// Bytes of a value as it is stored (Workers: 128 KB).
const MAX_KEYS = 128;
// Keys of one call (Workers).
const MAX_LIMIT = 2 ** 31 - 1;
// Keys and values that `list` may be asked for.
const GET = "SELECT value FROM _cf_KV WHERE key = ?";
const PUT = "INSERT INTO _cf_KV (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2";
const DELETE = "DELETE FROM _cf_KV WHERE key = ? RETURNING 1";
const COMPARISONS = { start: ">=", startAfter: ">", end: "<" };

function keyOf(key) {
  if (typeof key !== "string" && typeof key !== "number") throw new TypeError(`a key is a string, not ${typeof key}`);
  const bytes = encode(`${key}`.toWellFormed());
  if (bytes.length > MAX_KEY) throw new RangeError(`Keys cannot be larger than ${MAX_KEY} bytes.`);
  return bytes;
}

function valueOf(value) {
  if (value === undefined) throw new TypeError("put() called with undefined value.");
  const bytes = writeStored(value);
  if (bytes.length > MAX_STORED) throw new RangeError(`Values cannot be larger than ${MAX_STORED} bytes.`);
  return bytes;
}

function several(items, what) {
  if (items.length > MAX_KEYS) throw new RangeError(`Maximum number of ${what} is ${MAX_KEYS}.`);
  return items;
}

export class SyncKvStorage {
  #database;

  constructor(making, database) {
    if (making !== MAKING) throw illegalConstructor();
    this.#database = database;
  }

  // The value of a key, undefined if there is none; of a list of keys, a Map of those that there are.
  get(key) {
    if (!Array.isArray(key)) return this.#one(key);
    const found = new Map();
    for (const each of several(key, "keys").toSorted()) {
      const value = this.#one(each);
      if (value !== undefined) found.set(each, value);
    }
    return found;
  }

  #one(key) {
    const [row] = this.#database.own(GET, [keyOf(key)]);
    return row === undefined ? undefined : readStored(row[0]);
  }

  // Store a value under a key; or all of an object, or nothing of it.
  put(key, value) {
    if (typeof key === "object" && key !== null) {
      const pairs = several(Object.entries(key), "pairs").filter(([, each]) => each !== undefined);
      const rows = pairs.map(([name, each]) => [keyOf(name), valueOf(each)]);
      this.#database.transaction(() => rows.forEach((row) => this.#database.own(PUT, row)));
      return;
    }
    const name = keyOf(key);
    this.#database.own(PUT, [name, valueOf(value)]);
  }

  // Whether there was such a key; of a list of keys, how many there were.
  delete(key) {
    if (!Array.isArray(key)) return this.#database.own(DELETE, [keyOf(key)]).length > 0;
    const keys = several(key, "keys").map(keyOf);
    return this.#database.transaction(() =>
      keys.reduce((count, each) => count + this.#database.own(DELETE, [each]).length, 0));
  }

  // Keys and values in the order of the keys' bytes, pair by pair.
  list(options = undefined) {
    return this.#rows(options).values().map(([key, value]) => [decode(key), readStored(value)]);
  }

  #rows(options) {
    const given = options ?? {};
    if (given.start !== undefined && given.startAfter !== undefined) {
      throw new TypeError("list() cannot be called with both start and startAfter values.");
    }
    const limit = Math.trunc(Number(given.limit ?? MAX_LIMIT));
    if (!(limit > 0 && limit <= MAX_LIMIT)) throw new TypeError("List limit must be positive.");
    const where = [];
    const values = [];
    for (const [name, comparison] of Object.entries(COMPARISONS)) {
      if (given[name] === undefined || given[name] === null) continue;
      where.push(`key ${comparison} ?`);
      values.push(keyOf(given[name]));
    }
    if ((given.prefix ?? "") !== "") {
      const first = keyOf(given.prefix);
      where.push("key >= ?", "key < ?");
      values.push(first, after(first));
    }
    const condition = where.length > 0 ? ` WHERE ${where.join(" AND ")}` : "";
    const order = given.reverse ? "DESC" : "ASC";
    values.push(limit);
    return this.#database.own(`SELECT key, value FROM _cf_KV${condition} ORDER BY key ${order} LIMIT ?`, values);
  }
}
expose(SyncKvStorage);

// The first key behind all that begin with this. UTF-8 has no byte 0xff, so the last one can be raised.
function after(prefix) {
  const next = prefix.slice();
  next[next.length - 1] += 1;
  return next;
}

export function makeKv(database) {
  return new SyncKvStorage(MAKING, database);
}
