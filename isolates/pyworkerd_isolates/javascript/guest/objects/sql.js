// `storage.sql`.

import { expose, illegalConstructor } from "pyworkerd:web/idl";
import { bytesOf } from "pyworkerd:web/encoding";

const MAKING = Symbol("made here");

// The rows of one `exec`, each an object by column. They are read once.
export class SqlStorageCursor {
  #names;
  #rows;
  #place = 0;
  #written;

  constructor(making, names, rows, written) {
    if (making !== MAKING) throw illegalConstructor();
    this.#names = names;
    this.#rows = rows;
    this.#written = written;
  }

  #values() {
    const row = this.#rows[this.#place];
    this.#rows[this.#place++] = null;
    for (let i = 0; i < row.length; i++) if (row[i] instanceof Uint8Array) row[i] = row[i].buffer;
    return row;
  }

  #row() {
    const values = this.#values();
    const names = this.#names;
    const made = {};
    for (let i = 0; i < names.length; i++) {
      if (names[i] in made) define(made, names[i], values[i]);
      else made[names[i]] = values[i];
    }
    return made;
  }

  // As iterators do it.
  next() {
    return this.#place < this.#rows.length ? { done: false, value: this.#row() } : { done: true };
  }

  // All rows that are left.
  toArray() {
    const rows = [];
    while (this.#place < this.#rows.length) rows.push(this.#row());
    return rows;
  }

  // The only row.
  one() {
    const left = this.#rows.length - this.#place;
    if (left !== 1) {
      const found = left === 0 ? "no results" : "multiple results";
      throw new Error(`Expected exactly one result from SQL query, but got ${found}`);
    }
    return this.#row();
  }

  // The rows that are left, as lists of values.
  raw() {
    const more = () =>
      this.#place < this.#rows.length ? { done: false, value: this.#values() } : { done: true, value: undefined };
    return {
      __proto__: Iterator.prototype,
      next: more,
      toArray() {
        const rows = [];
        for (let { done, value } = more(); !done; { done, value } = more()) rows.push(value);
        return rows;
      },
    };
  }

  get columnNames() { return [...this.#names]; }

  // Rows that came out. What SQLite looked at to find them is not counted.
  get rowsRead() { return this.#rows.length; }

  get rowsWritten() { return this.#written; }

  [Symbol.iterator]() {
    return this;
  }
}
expose(SqlStorageCursor);

// A column that is called like something that every object has, or like another.
function define(row, name, value) {
  Object.defineProperty(row, name, { value, writable: true, enumerable: true, configurable: true });
}

function bindable(value) {
  if (value === null || value === undefined) return null;
  if (typeof value === "string" || typeof value === "number") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return bytesOf(value, "exec()");
  const kind = typeof value === "object" ? "another object" : `a ${typeof value}`;
  throw new TypeError(`a value that is bound is null, a number, a string or an ArrayBuffer, not ${kind}`);
}

export class SqlStorage {
  #database;

  constructor(making, database) {
    if (making !== MAKING) throw illegalConstructor();
    this.#database = database;
  }

  // Run one statement, or several in a row, of which the last one gets the bindings.
  exec(query, ...bindings) {
    if (typeof query !== "string") throw new TypeError(`a query is a string, not ${typeof query}`);
    const database = this.#database;
    const before = database.written;
    return database.run(query, bindings.map(bindable), ({ names }, rows) =>
      new SqlStorageCursor(MAKING, names, rows, database.written - before));
  }

  // Bytes, of which keys and values are part.
  get databaseSize() { return this.#database.size; }

  static Cursor = SqlStorageCursor;
}
expose(SqlStorage);

export function makeSql(database) {
  return new SqlStorage(MAKING, database);
}
