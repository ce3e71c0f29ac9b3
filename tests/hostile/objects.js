// A tenant whose Durable Objects attack what they are kept by. Each method of `Room` is one case of `test_objects.py`.

import { DurableObject } from "cloudflare:workers";

const ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)";

export default {
  async fetch(request, env) {
    const [, name, method] = new URL(request.url).pathname.split("/");
    try {
      return Response.json((await env.ROOM.getByName(name)[method]()) ?? null);
    } catch (error) {
      return new Response(error.code ?? "worker_exception");
    }
  },
};

export class Room extends DurableObject {
  get #sql() {
    return this.ctx.storage.sql;
  }

  async fine() {
    const { kv } = this.ctx.storage;
    kv.put("fine", (kv.get("fine") ?? 0) + 1);
    return kv.get("fine");
  }

  async endless() {
    this.ctx.storage.kv.put("fine", 1000);
    this.#sql.exec(`${ENDLESS} SELECT count(*) FROM c`);
  }

  async rows() {
    this.#sql.exec(`${ENDLESS} SELECT n, hex(randomblob(100)) FROM c`);
  }

  async sorts() {
    this.#sql.exec(`${ENDLESS} SELECT n FROM c ORDER BY hex(randomblob(500))`);
  }

  async groups() {
    this.#sql.exec(`${ENDLESS} SELECT group_concat(hex(randomblob(500))) FROM c`);
  }

  async fills() {
    this.#sql.exec("CREATE TABLE t (b)");
    for (;;) this.#sql.exec("INSERT INTO t VALUES (randomblob(1000000))");
  }

  async temporary() {
    this.#sql.exec("CREATE TEMP TABLE t (b)");
    for (;;) this.#sql.exec("INSERT INTO t VALUES (randomblob(1000000))");
  }

  async statements() {
    for (let n = 0; ; n++) this.#sql.exec(`SELECT ${n}, '${"x".repeat(90000)}'`);
  }

  async blobs() {
    const kept = [];
    for (;;) kept.push(this.#sql.exec("SELECT randomblob(2000000) AS b").one());
  }

  async deep() {
    const { storage } = this.ctx;
    const go = () => storage.transactionSync(go);
    go();
  }

  async recursion() {
    const go = () => {
      go();
      this.#sql.exec("SELECT 1");
    };
    try {
      go();
    } catch {
      this.#sql.exec("SELECT json_group_array(value) FROM json_each('[1]') ORDER BY 1");
    }
    throw new Error("caught");
  }

  async bombs() {
    this.#sql.exec(`SELECT ${"1+".repeat(20000)}1`);
  }

  async likes() {
    for (;;) this.#sql.exec("SELECT hex(zeroblob(900000)) LIKE '%0%0%0%0%0%0%0%0%0%1'");
  }

  async triggers() {
    this.#sql.exec(`CREATE TABLE a (n); CREATE TABLE b (n);
      CREATE TRIGGER x AFTER INSERT ON a BEGIN INSERT INTO b VALUES (new.n + 1); END;
      CREATE TRIGGER y AFTER INSERT ON b BEGIN INSERT INTO a VALUES (new.n + 1); END;
      INSERT INTO a VALUES (1)`);
  }

  async gate() {
    await this.ctx.blockConcurrencyWhile(() => new Promise(() => {}));
  }

  alarm() {}

  async alarms() {
    for (;;) await this.ctx.storage.setAlarm(Date.now() + 1e9);
  }

  async files() {
    const refused = [];
    for (const query of [
      "ATTACH '/etc/passwd' AS p", "VACUUM INTO '/tmp/pyworkerd-hostile'", "SELECT readfile('/etc/passwd')",
      "SELECT load_extension('/lib/x.so')", "CREATE VIRTUAL TABLE v USING dbstat", "SELECT * FROM sqlite_dbpage",
      "CREATE VIRTUAL TABLE f USING csv(filename='/etc/passwd')", "PRAGMA temp_store_directory = '/tmp'",
    ]) {
      try {
        this.#sql.exec(query);
      } catch {
        refused.push(query);
      }
    }
    return refused.length;
  }

  // Whatever the guest's own code asks a prototype for. What comes of it is this object's own affair.
  async prototypes() {
    const mean = () => "1],[]]";
    Array.prototype.map = Array.prototype.push = Array.prototype.join = mean;
    Object.getPrototypeOf(Uint8Array.prototype).join = mean;
    Map.prototype.get = Map.prototype.set = Set.prototype.has = () => true;
    String.prototype.toWellFormed = String.prototype.toLowerCase = () => "table_list";
    this.#sql.exec("PRAGMA writable_schema = ON");
    this.#sql.exec("CREATE TABLE t (n)");
  }

  async numbers() {
    Object.getPrototypeOf(Uint8Array.prototype).join = () => "0,1,2,3,4,5,6,7,8,9";
    this.ctx.storage.kv.put("a", 1);
  }

  async forges() {
    Object.getPrototypeOf(Uint8Array.prototype).join = () => '0,1],0,null],["return",1,0],["commit",1,[0';
    this.ctx.storage.kv.put("a", 1);
  }

  async schema() {
    Set.prototype.has = () => true;
    this.#sql.exec("PRAGMA writable_schema = ON");
    this.#sql.exec("UPDATE sqlite_schema SET sql = 'CREATE TABLE _cf_KV (x', rootpage = 99");
  }

  // Statements from within what asks whether a statement is allowed.
  async reenters() {
    const sql = this.#sql;
    let depth = 0;
    sql.exec("CREATE TABLE t (n); INSERT INTO t VALUES (1)");
    Set.prototype.has = () => {
      if (depth++ < 3) sql.exec("PRAGMA table_info(t)");
      sql.exec("DROP TABLE IF EXISTS t");
      sql.exec("CREATE TABLE t (n)");
      return true;
    };
    sql.exec("PRAGMA table_info(t)");
  }

  async reenters_for_ever() {
    const sql = this.#sql;
    Set.prototype.has = () => sql.exec("PRAGMA quick_check");
    sql.exec("PRAGMA quick_check");
  }

  async setters() {
    for (const name of ["value", "done", "names", "alarm", "dirty", "0", "1", "length"]) {
      Object.defineProperty(Object.prototype, name, {
        set() {
          throw new Error("caught");
        },
        get: () => undefined,
        configurable: true,
      });
    }
    return this.fine();
  }

  async then() {
    Object.prototype.then = (resolve) => resolve("stolen");
    return this.fine();
  }

  async host() {
    const found = ["host", "guest", "pyworkerd", "sql", "O", "P", "S", "W"].filter((name) => name in globalThis);
    const { ctx } = this;
    for (const each of [ctx, ctx.storage, ctx.storage.sql, ctx.storage.kv, ctx.id]) {
      found.push(...Object.keys(each).filter((key) => !["id", "storage", "props", "kv", "sql", "name"].includes(key)));
    }
    return found;
  }
}
