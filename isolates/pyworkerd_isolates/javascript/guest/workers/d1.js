// D1 on `env`: the methods of Workers.

import { CallError } from "pyworkerd:system/calls";
import { now, utf8 } from "pyworkerd:system/host";
import { readValue } from "pyworkerd:system/values";
import { Capability } from "pyworkerd:workers/capability";

const MAX_TEXT = 8192;
// Characters of a text beyond which it crosses beside the statements and not among them.
const MAX_CALL = 6 << 20;
// Bytes of all parameters of one call: a step of an isolate may give out 8 MiB.
const META = ["duration", "changes", "last_row_id", "changed_db", "size_after", "rows_read", "rows_written"];

export class D1Database extends Capability {
  prepare(sql) {
    return new D1PreparedStatement(new Asker(this, null), sql);
  }

  // Run statements as one transaction: all of them count, or none.
  async batch(statements) {
    return new Asker(this, null).batch(statements);
  }

  // Run SQL without parameters, a statement in each line. Lines before one that is wrong count.
  async exec(sql) {
    const began = now();
    const count = await Capability.call(this, "exec", String(sql));
    return { count, duration: now() - began };
  }

  withSession(constraint = "first-unconstrained") {
    return new D1DatabaseSession(this, constraint);
  }

  async dump() {
    throw new CallError("D1_DUMP_ERROR: dump() is not supported; a program can export the database", "bad_call");
  }
}

// What it reads is never older than what it has seen, or than the bookmark that it begins with.
export class D1DatabaseSession {
  #asker;

  constructor(database, constraint) {
    if (typeof constraint !== "string" || constraint === "") {
      throw new CallError("D1_SESSION_ERROR: Invalid bookmark or constraint", "bad_call");
    }
    const begins = constraint === "first-primary" || constraint === "first-unconstrained";
    this.#asker = new Asker(database, begins ? "" : constraint);
  }

  prepare(sql) {
    return new D1PreparedStatement(this.#asker, sql);
  }

  async batch(statements) {
    return this.#asker.batch(statements);
  }

  getBookmark() {
    return this.#asker.session || null;
  }
}

// Sends statements, for a session or for none.
class Asker {
  constructor(database, session) {
    this.database = database;
    this.session = session;
  }

  // `one` is how a single statement is asked for: "rows" where nothing is to be told but its rows.
  async ask(statements, one = "one") {
    const all = statements.map((each) => D1PreparedStatement.parts(each));
    if (all.reduce((size, each) => size + each.size, 0) > MAX_CALL) {
      throw new CallError("D1_ERROR: string or blob too big: SQLITE_TOOBIG", "bad_call");
    }
    const answer =
      all.length === 1
        ? Capability.call(this.database, one, this.session, all[0].sql, ...all[0].sent)
        : Capability.call(this.database, "query", all.map(({ sql, sent }) => [sql, sent]), this.session);
    const [results, bookmark] = await answer;
    if (this.session !== null && bookmark !== null && bookmark > this.session) this.session = bookmark;
    return results;
  }

  async batch(statements) {
    const all = [...statements];
    if (!all.every((each) => each instanceof D1PreparedStatement)) {
      throw new TypeError("batch() takes an array of prepared statements");
    }
    return all.length === 0 ? [] : (await this.ask(all)).map((found) => resultOf(...found));
  }
}

// A statement with its parameters. It does not change: `bind` makes another one.
export class D1PreparedStatement {
  #asker;
  #sql;
  #sent;
  #size;

  constructor(asker, sql, sent = [], size = 0) {
    if (typeof sql !== "string") throw new TypeError(`a statement has to be a string, not ${typeof sql}`);
    this.#asker = asker;
    this.#sql = sql;
    this.#sent = sent;
    this.#size = size + sql.length;
  }

  static parts(statement) {
    return { sql: statement.#sql, sent: statement.#sent, size: statement.#size };
  }

  bind(...values) {
    const sent = values.map(parameterOf);
    const size = sent.reduce((sum, each) => sum + (each?.length ?? 0) + (each?.[0]?.length ?? 0), 0);
    return new D1PreparedStatement(this.#asker, this.#sql, sent, size);
  }

  async all() {
    return resultOf(...(await this.#asker.ask([this]))[0]);
  }

  async run() {
    return this.all();
  }

  // The first row, or one column of it; null if there is no row.
  async first(column) {
    const [columns, rows, pieces] = (await this.#asker.ask([this], "rows"))[0];
    const row = rowsOf(rows, pieces)[0];
    if (row === undefined) return null;
    if (column === undefined) return objectOf(columns, row);
    if (!columns.includes(column)) {
      throw new CallError(`D1_COLUMN_NOTFOUND: Column not found (${column})`, "bad_call");
    }
    return plain(row[columns.indexOf(column)]);
  }

  async raw(options = {}) {
    const [columns, rows, pieces] = (await this.#asker.ask([this], "rows"))[0];
    const found = rowsOf(rows, pieces).map((row) => row.map(plain));
    return options?.columnNames ? [columns, ...found] : found;
  }
}

function rowsOf(first, pieces) {
  return pieces?.length ? [...first, ...pieces.flatMap((piece) => readValue(piece))] : first;
}

// Blobs are arrays of numbers, as in Workers.
function plain(value) {
  return value instanceof Uint8Array ? [...value] : value;
}

function objectOf(columns, row) {
  return Object.fromEntries(columns.map((name, place) => [name, plain(row[place])]));
}

function resultOf(columns, first, pieces, meta) {
  const told = Object.fromEntries(META.map((name, place) => [name, meta[place]]));
  Object.assign(told, { served_by: "pyworkerd", served_by_primary: true, timings: { sql_duration_ms: told.duration } });
  return { success: true, meta: told, results: rowsOf(first, pieces).map((row) => objectOf(columns, row)) };
}

function parameterOf(value) {
  if (value === null || typeof value === "number") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "string") {
    return value.length <= MAX_TEXT && /^[\0-\x7f]*$/.test(value) ? value : [utf8(value)];
  }
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value) && value.every((each) => Number.isInteger(each) && each >= 0 && each <= 255)) {
    return new Uint8Array(value);
  }
  const shown = String(value).slice(0, 100);
  throw new CallError(`D1_TYPE_ERROR: Type '${typeof value}' not supported for value '${shown}'`, "bad_call");
}
