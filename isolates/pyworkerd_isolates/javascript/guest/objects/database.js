// The storage of a Durable Object: SQLite inside the isolate, on pages that the host keeps.
//
// The platform's SQL is synchronous, and a guest cannot wait in the middle of a step. So the database is here, in
// memory: reads and writes need nobody. When a step ends, the pages that it has changed are the first of its effects,
// and the host lets nothing else of the step leave before they are durable. What is committed here at the end of a step
// is what the host keeps; a transaction that is still open then is not part of it. Python's objects have the same.

import { here } from "pyworkerd:objects/object";
import { encode, guest } from "pyworkerd:system/host";
import { blob, emitFirst, room } from "pyworkerd:system/outbox";
import { TextDecoder } from "pyworkerd:web/encoding";

const { host } = globalThis.pyworkerd;
const PAGE = 4096;
export const MAX_VALUE = 2 << 20;
// Bytes of a text, a blob or a row (Workers: 2 MB).
const LIMITS = [
  [0, MAX_VALUE], // SQLITE_LIMIT_LENGTH
  [1, 100000], // SQLITE_LIMIT_SQL_LENGTH
  [2, 100], // SQLITE_LIMIT_COLUMN
  [3, 100], // SQLITE_LIMIT_EXPR_DEPTH
  [4, 5], // SQLITE_LIMIT_COMPOUND_SELECT
  [5, 25000], // SQLITE_LIMIT_VDBE_OP
  [6, 127], // SQLITE_LIMIT_FUNCTION_ARG
  [7, 0], // SQLITE_LIMIT_ATTACHED
  [8, 50], // SQLITE_LIMIT_LIKE_PATTERN_LENGTH
  [9, 100], // SQLITE_LIMIT_VARIABLE_NUMBER
  [10, 10], // SQLITE_LIMIT_TRIGGER_DEPTH
];
// As of workerd (sqlite.c++), but for the length.
const PRAGMAS = new Set([
  "table_list", "table_info", "table_xinfo", "index_list", "index_info", "index_xinfo", "foreign_key_check",
  "foreign_key_list", "defer_foreign_keys", "quick_check", "function_list", "compile_options",
]); // those that a worker may use: none of them changes how the database is kept
const [PRAGMA, TRANSACTION, ATTACH, DETACH, SAVEPOINT] = [19, 22, 24, 25, 32];
// What a statement may be about to do (sqlite3.h, "Authorizer Action Codes").
const DONE = 101;
const MOST_KEPT = 64;
// Statements of a worker that are kept prepared.
const LONG = 4096;
// Characters of one that is not.
const SHORT = 100;
// Length of a text or bytes that a statement may hold on to.
const CODES =
  `OK ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN PROTOCOL EMPTY
   SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB`.split(/\s+/);

const OVERLAP =
  "a transaction ended before one that had begun within it: wait for each before the next one begins; " +
  "nothing of what they wrote is kept";

let denied = null;

guest.authorize = (action, first, second) => {
  let refused;
  if (action === PRAGMA) {
    if (PRAGMAS.has(first.toLowerCase())) return 0;
    refused = `PRAGMA ${first} is not allowed`;
  } else if (action === TRANSACTION || action === SAVEPOINT) {
    refused =
      "To execute a transaction, please use the state.storage.transaction() or state.storage.transactionSync() APIs " +
      "instead of the SQL BEGIN TRANSACTION or SAVEPOINT statements. The JavaScript API is safer because it will " +
      "automatically roll back on exceptions, and because it interacts correctly with Durable Objects' automatic " +
      "atomic write coalescing.";
  } else if (action === ATTACH || action === DETACH) refused = "ATTACH and DETACH are not allowed";
  else refused = `access to ${/^_cf_/i.test(first ?? "") ? first : second} is prohibited`;
  denied ??= refused;
  return 1;
};

const NOTHING = new Uint8Array(0);

// Have a database with these pages open, or with those that the host has kept.
function open(pages) {
  if (host.open(pages ?? NOTHING, pages === null ? 1 : 0) !== 0) {
    throw new Error("the stored database cannot be opened");
  }
}

function makeBlank() {
  open(NOTHING);
  for (const statement of [
    `PRAGMA page_size = ${PAGE}`,
    "CREATE TABLE _cf_KV (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID",
  ]) {
    const prepared = host.prepare(statement, 0, 1);
    host.row(prepared, 1);
    host.finish(prepared);
  }
  return host.pages(0);
}

const BLANK = makeBlank();
// A database in which nothing is stored.

// SQLite takes any bytes for a text. What is no UTF-8 comes as bytes in a list.
function textOf(value) {
  return Array.isArray(value) ? lenient.decode(value[0]) : value;
}

const lenient = new TextDecoder();

// What SQLite refused, with its text and the name of its result.
export function refusal() {
  const code = host.code(0) & 0xff;
  const text = denied ?? textOf(host.message(0));
  denied = null;
  return new Error(`${text}: SQLITE_${CODES[code] ?? "ERROR"}`);
}

export function tooBig() {
  return new Error("string or blob too big: SQLITE_TOOBIG");
}

function undone() {
  return new Error("SQLite has undone the transaction: it was full, or a statement said ROLLBACK: SQLITE_ABORT");
}

// One statement, prepared; of the guest's own or of the worker's.
class Statement {
  #number;
  #isOwn;
  #parameters;

  constructor(number, isOwn) {
    this.#number = number;
    this.#isOwn = isOwn ? 1 : 0;
    this.#parameters = host.parameters(number);
    this.reads = host.reads(number) === 1;
  }

  get names() {
    return host.names(this.#number).map(textOf);
  }

  // All rows, each a list of values. Values are null, numbers, texts and Uint8Arrays.
  run(values) {
    const number = this.#number;
    if (values.length !== this.#parameters) {
      throw new Error("Wrong number of parameter bindings for SQL query.");
    }
    try {
      for (let i = 0; i < values.length; i++) if (bind(number, i + 1, values[i]) !== 0) throw refusal();
      const rows = [];
      for (;;) {
        const row = host.row(number, this.#isOwn);
        if (row === DONE) return rows;
        if (typeof row === "number") throw refusal();
        rows.push(Array.isArray(row[0]) ? row[0].map(textOf) : row);
      }
    } finally {
      host.reset(number);
      for (let i = 0; i < values.length; i++) if (values[i]?.length > SHORT) host.bind_null(number, i + 1);
    }
  }

  finish() {
    host.finish(this.#number);
  }
}

function bind(number, place, value) {
  if (value === null) return host.bind_null(number, place);
  if (typeof value === "number") return host.bind_number(number, place, value);
  if (value.length > MAX_VALUE) throw tooBig();
  return typeof value === "string"
    ? host.bind_text(number, place, value.toWellFormed())
    : host.bind_bytes(number, place, value);
}

// Opened when it is used first. `pages` is what the host has kept, empty if nothing; they are copied.
export class Database {
  alarm;
  ringing = null; // what the handler was given that runs just now, for the alarm that is kept until it has ended
  dirty = false;
  depth = 0;
  #keptAlarm;
  #most;
  #isOpen = false;
  #own = new Map();
  #kept = new Map();

  constructor(pages, alarm, most) {
    if (pages.length > 0) host.keep(pages);
    this.alarm = this.#keptAlarm = alarm;
    this.#most = most;
  }

  #open() {
    if (!this.#isOpen) this.#begin(host.kept_bytes(0) === 0 ? BLANK : null);
  }

  #begin(pages) {
    open(pages);
    this.#isOpen = true;
    for (const pragma of [
      "temp_store = MEMORY",
      "journal_mode = MEMORY",
      "cache_spill = OFF",
      "foreign_keys = ON",
      "trusted_schema = OFF",
      `max_page_count = ${this.#most}`,
    ]) {
      const statement = this.#prepare(`PRAGMA ${pragma}`, 0, true);
      statement.run([]);
      statement.finish();
    }
    for (const [limit, value] of LIMITS) host.limit(limit, value);
  }

  #prepare(text, from, isOwn) {
    denied = null;
    const number = host.prepare(text, from, isOwn ? 1 : 0);
    if (number < 0) throw refusal();
    return number === 0 ? null : new Statement(number, isOwn);
  }

  // For a statement. What SQLite has undone by itself is no transaction any more: nothing may be written as if it were.
  #ready() {
    this.#open();
    if (this.depth > 0 && host.outside(0) === 1) throw undone();
  }

  // A statement of ours.
  own(text, values = []) {
    this.#ready();
    let statement = this.#own.get(text);
    if (statement === undefined) {
      statement = this.#prepare(text, 0, true);
      this.#own.set(text, statement);
    }
    if (!statement.reads) this.dirty = true;
    return statement.run(values);
  }

  // One statement of the worker's own, or several, of which the last one gets the values: what `use` makes of that one
  // and its rows.
  run(query, values, use) {
    const text = query.toWellFormed();
    if (text.length > MAX_VALUE) throw tooBig();
    this.#ready();
    const known = this.#kept.get(text);
    if (known !== undefined) {
      this.#kept.delete(text);
      this.#kept.set(text, known);
      return use(known, this.#rows(known, values));
    }
    const size = encode(text).length;
    for (let from = 0; ; ) {
      const statement = this.#prepare(text, from, false);
      const tail = host.tail(0);
      if (statement === null) throw new Error("SQL code did not contain a statement.");
      const isLast = tail >= size || this.#isEmpty(text, tail);
      const isKept = from === 0 && isLast && text.length <= LONG;
      try {
        const rows = this.#rows(statement, isLast ? values : []);
        if (isLast) return use(statement, rows);
      } finally {
        if (isKept) this.#keep(text, statement);
        else statement.finish();
      }
      from = tail;
    }
  }

  #isEmpty(text, from) {
    const number = host.prepare(text, from, 0);
    if (number > 0) host.finish(number);
    return number === 0;
  }

  #rows(statement, values) {
    denied = null;
    if (!statement.reads) this.dirty = true;
    return statement.run(values);
  }

  #keep(text, statement) {
    if (this.#kept.size === MOST_KEPT) {
      const [[oldest, least]] = this.#kept;
      this.#kept.delete(oldest);
      least.finish();
    }
    this.#kept.set(text, statement);
  }

  // Rows written since it was opened.
  get written() {
    this.#open();
    return host.written(0);
  }

  // Bytes.
  get size() {
    return this.own("PRAGMA page_count")[0][0] * PAGE;
  }

  // transactions -----------------------------------------------------------------------------------------------------

  // A transaction, perhaps within another. Returns what `end` needs.
  begin() {
    this.own(`SAVEPOINT _cf_${this.depth + 1}`);
    return ++this.depth;
  }

  // Keep what was written since, or none of it. What cannot be kept, such as a foreign key that was deferred and leads
  // nowhere, is undone. If one that began within it is not over, nobody knows who wrote what: the object is reset.
  end(depth, keep) {
    if (depth !== this.depth) {
      here().abort(OVERLAP);
      throw new Error(OVERLAP);
    }
    this.depth = depth - 1;
    if (host.outside(0) === 1) {
      if (keep) throw undone();
      return;
    }
    this.dirty = true;
    if (keep) {
      try {
        this.own(`RELEASE _cf_${depth}`);
      } catch (error) {
        this.#undo(depth);
        throw error;
      }
    } else this.#undo(depth);
  }

  #undo(depth) {
    if (host.outside(0) === 1) return;
    this.own(`ROLLBACK TO _cf_${depth}`);
    this.own(`RELEASE _cf_${depth}`);
  }

  // Run a function; keep all that it writes, or none if it throws.
  transaction(work) {
    const depth = this.begin();
    let result;
    try {
      result = work();
    } catch (error) {
      this.end(depth, false);
      throw error;
    }
    this.end(depth, true);
    return result;
  }

  // Nothing is stored any more.
  clear() {
    this.#open();
    for (const statements of [this.#own, this.#kept]) {
      for (const statement of statements.values()) statement.finish();
      statements.clear();
    }
    this.#begin(BLANK);
    this.dirty = true;
  }

  // what the host keeps ----------------------------------------------------------------------------------------------

  // Put what has changed before all other effects of the step. Returns false if it is too much.
  commit() {
    if (!this.dirty && this.alarm === this.#keptAlarm) return true;
    let size = host.kept_bytes(0) / PAGE;
    let [numbers, pages] = ["", NOTHING];
    if (this.dirty && this.#isOpen) {
      this.dirty = this.depth > 0;
      const [newSize, found, data] = host.changes(BLANK);
      if (found.length === 0 && newSize === size && this.alarm === this.#keptAlarm) return true;
      [size, numbers, pages] = [newSize, new Uint32Array(found.buffer).join(), data];
      if (pages.length > room()) return false;
    }
    this.#keptAlarm = this.alarm;
    emitFirst(`["commit",${size},[${numbers}],${blob(pages)},${this.alarm}]`);
    return true;
  }
}
