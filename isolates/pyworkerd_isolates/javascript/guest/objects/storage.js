// `ctx.storage`: keys and values, SQL, transactions, alarms. What is written is durable before anybody hears of it.
// All of it is there without waiting: `await` never lets another event in between.

import { here } from "pyworkerd:objects/object";
import { makeKv } from "pyworkerd:objects/kv";
import { makeSql } from "pyworkerd:objects/sql";
import { inNextStep } from "pyworkerd:system/loop";
import { expose, illegalConstructor } from "pyworkerd:web/idl";
import { addEventKind } from "pyworkerd:workers/background";

const MAKING = Symbol("made here");

// The four methods that a storage and a transaction have.
class Keys {
  #kv;

  constructor(kv) {
    this.#kv = kv;
  }

  // See `SyncKvStorage.get`.
  async get(key, options = undefined) {
    return this.#kv.get(key, options);
  }

  async put(key, value, options = undefined) {
    this.#kv.put(key, value, options);
  }

  async delete(key, options = undefined) {
    return this.#kv.delete(key, options);
  }

  // Keys and values in the order of the keys' bytes, as a Map.
  async list(options = undefined) {
    return new Map(this.#kv.list(options));
  }
}

export class DurableObjectStorage extends Keys {
  #database;

  constructor(making, database) {
    if (making !== MAKING) throw illegalConstructor();
    const kv = makeKv(database);
    super(kv);
    this.#database = database;
    Object.defineProperties(this, {
      kv: { value: kv, enumerable: true },
      sql: { value: makeSql(database), enumerable: true },
    });
  }

  // Forget everything, tables and the alarm too.
  async deleteAll() {
    if (this.#database.depth > 0) throw new Error("Cannot call deleteAll() within a transaction");
    this.#database.clear();
    this.#database.alarm = this.#database.ringing = null;
  }

  // When the alarm is due, in milliseconds since 1970; null without one, and for its own handler.
  async getAlarm() {
    return this.#database.ringing !== null ? null : this.#database.alarm;
  }

  // Let `alarm()` be called at this time. There is one alarm, the last one that was set.
  async setAlarm(time) {
    if (typeof here().found.prototype.alarm !== "function") {
      throw new Error(
        "Your Durable Object class must have an alarm() handler in order to call setAlarm()",
      );
    }
    const when = Math.trunc(Number(time));
    if (!(when > 0 && when < 2 ** 53)) throw new TypeError("setAlarm() cannot be called with an alarm time <= 0");
    const database = this.#database;
    const isSame = database.ringing !== null && when === database.ringing.scheduledTime;
    database.alarm = isSame ? when + 1 : when; // another alarm, not the one that rings
    database.ringing = null;
  }

  async deleteAlarm() {
    this.#database.alarm = this.#database.ringing = null;
  }

  // Wait until what was written so far is durable.
  async sync() {
    await inNextStep();
  }

  async getCurrentBookmark() { throw noBookmarks(); }
  async getBookmarkForTime() { throw noBookmarks(); }
  async onNextSessionRestoreBookmark() { throw noBookmarks(); }

  // Run an async function while the object takes no other event; keep all that it writes, or none if it throws, or
  // calls `rollback()` of what it is given. Those that begin meanwhile are within it.
  async transaction(work) {
    if (typeof work !== "function") throw new TypeError("transaction() takes a function");
    const database = this.#database;
    return here().block(async () => {
      const given = new DurableObjectTransaction(MAKING, this.kv);
      const depth = database.begin();
      let result;
      try {
        result = await work(given);
      } catch (error) {
        database.end(depth, false);
        throw error;
      }
      database.end(depth, !isRolledBack(given));
      return result;
    }, false);
  }

  // Run a function; keep all that it writes, or none if it throws.
  transactionSync(work) {
    if (typeof work !== "function") throw new TypeError("transactionSync() takes a function");
    return this.#database.transaction(work);
  }
}
expose(DurableObjectStorage);

function noBookmarks() {
  return new Error("there are no bookmarks here: what is stored has no history to go back in");
}

let isRolledBack;

export class DurableObjectTransaction extends Keys {
  #isRolledBack = false;

  constructor(making, kv) {
    if (making !== MAKING) throw illegalConstructor();
    super(kv);
  }

  static {
    isRolledBack = (transaction) => transaction.#isRolledBack;
  }

  // Keep nothing of what was written.
  rollback() {
    this.#isRolledBack = true;
  }
}
expose(DurableObjectTransaction);

export function makeStorage(database) {
  return new DurableObjectStorage(MAKING, database);
}

// What `alarm()` is given: for when it was set, and whether it was tried before.
addEventKind("alarm", ({ scheduledTime, retryCount, isRetry, givenUp }) => {
  const { database } = here();
  const given = { scheduledTime, retryCount, isRetry };
  return {
    given,
    // What is noted of alarms may be too much: the object itself knows which one it has.
    begins() {
      if (database.alarm !== scheduledTime) return false;
      if (givenUp) database.alarm = null;
      else database.ringing = given;
      return !givenUp;
    },
    outcome() {
      if (database.ringing === given) database.alarm = database.ringing = null;
    },
    ended() {
      if (database.ringing === given) database.ringing = null;
    },
  };
});
