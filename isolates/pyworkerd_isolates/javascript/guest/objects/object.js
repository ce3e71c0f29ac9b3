// The Durable Object that this isolate is, if it is one: its one instance, and the gate before it.
//
// Invocations enter in the order in which they came. While the gate is closed (`blockConcurrencyWhile`) none enters,
// and nothing runs but for the invocation that closed it: events of others wait in `loop`.

import { env } from "pyworkerd:system/environment";
import { clearTimer, needed, setGate, setTimer, soon } from "pyworkerd:system/loop";
import { emitAlone } from "pyworkerd:system/outbox";
import { objects } from "pyworkerd:system/worker";

const BLOCK_MS = 30000;
// How long the gate may be closed (Workers: 30 s, then the object is reset).
const MAX_MESSAGE = 8192;

let only = null;

// The object. There is none before the event that says so.
export function here() {
  return only;
}

export function become(object) {
  only = object;
}

export class DurableInstance {
  instance = null;
  aborted = false;
  #reason = null;
  #failure = null;
  #closers = new Map(); // invocations that have closed the gate, and how often
  #opened = null;
  #waiting = [];

  constructor(className, database) {
    this.found = objects.get(className);
    this.database = database;
    this.state = null;
  }

  // What handlers are called on, after one's turn has come; whoever comes first makes the instance.
  async enter() {
    await this.admitted();
    if (this.instance === null) await this.#construct();
    return { instance: this.instance, isClass: true, ctx: this.state };
  }

  async admitted() {
    if (this.#closers.size === 0 && this.#waiting.length === 0) return;
    const turn = { invocation: needed(), ...Promise.withResolvers() };
    this.#waiting.push(turn);
    await turn.promise;
    this.#waiting.shift();
    this.#admit();
    if (turn.invocation.over) throw new Error("the caller of this invocation has gone");
  }

  #admit() {
    if (this.#waiting.length === 0 || this.#closers.size > 0) return;
    const [{ invocation, resolve }] = this.#waiting;
    soon(invocation, resolve);
  }

  async #construct() {
    if (this.#failure !== null) throw this.#failure.error;
    try {
      this.instance = new this.found(this.state, env);
    } catch (error) {
      this.#failure = { error };
      this.abort(`the object's constructor failed: ${textOf(error)}`);
      throw error;
    }
    if (this.#closers.size > 0) {
      this.#opened = Promise.withResolvers();
      await this.#opened.promise;
    }
  }

  // the gate ---------------------------------------------------------------------------------------------------------

  // Run an async function while nothing else of the object runs. If it fails, so does the object, unless that is not
  // `fatal`.
  block(callback, fatal = true) {
    const invocation = needed();
    const late = setTimer(() => this.abort(`blockConcurrencyWhile() took longer than ${BLOCK_MS / 1000} s`), BLOCK_MS);
    this.#closers.set(invocation, (this.#closers.get(invocation) ?? 0) + 1);
    setGate(this.#closers);
    invocation.hold();
    const over = () => {
      clearTimer(late);
      const times = this.#closers.get(invocation) - 1;
      if (times > 0) this.#closers.set(invocation, times);
      else this.#closers.delete(invocation);
      if (this.#closers.size === 0) this.#open();
      invocation.release();
    };
    return (async () => {
      try {
        return await callback();
      } catch (error) {
        if (fatal) this.abort(`the function of blockConcurrencyWhile() failed: ${textOf(error)}`);
        throw error;
      } finally {
        over();
      }
    })();
  }

  #open() {
    setGate(null);
    this.#opened?.resolve();
    this.#opened = null;
    this.#admit();
  }

  // the end ----------------------------------------------------------------------------------------------------------

  // End the object with this step: nothing of what it wrote in it is kept, and nobody hears of it.
  abort(reason) {
    if (this.aborted) return;
    this.aborted = true;
    this.#reason = textOf(reason).slice(0, MAX_MESSAGE);
  }

  // The step ends: what it has changed in the storage goes out before all else.
  commit() {
    if (!this.aborted && !this.database.commit()) {
      this.abort("a step changed more of the object's storage than it can give out at once: write less at a time");
    }
    if (this.aborted) emitAlone(["abort", this.#reason]);
  }
}

function textOf(reason) {
  try {
    return String(reason);
  } catch {
    return "something that cannot be shown";
  }
}
