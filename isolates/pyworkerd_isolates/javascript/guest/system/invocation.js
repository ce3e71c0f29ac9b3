// One run of a handler: its number, what it has promised to finish after it answered, what ends with it.

import { now } from "pyworkerd:system/host";
import { isLending } from "pyworkerd:system/lending";
import { clearTimersOf, isUnheard, run, tellOf } from "pyworkerd:system/loop";
import { emit, emitDone } from "pyworkerd:system/outbox";
import { inherit, keepShapes } from "pyworkerd:web/idl";

export const running = new Map();
// Invocations that have begun and are not done, by number.

const GONE = "the caller of this invocation has gone";
const ENDED = "the worker ended before this body was complete";
const LOG_MS = 60000;
// After which an invocation that a WebSocket keeps alive may log anew.

export class Invocation {
  constructor(number) {
    this.number = number;
    running.set(number, this);
  }

  // Something more must finish before this invocation is done: a body that is sent, a `waitUntil`.
  hold() {
    this.open += 1;
  }

  release() {
    if (this.open === 1) this.end();
    else this.open -= 1;
  }

  end() {
    if (!running.delete(this.number)) return;
    if (isUnheard) tellOf(this);
    if (this.hasMore) this.#endMore();
    this.over = true;
    emitDone(this.number);
  }

  #endMore() {
    // Listeners hear that their WebSockets are closed; what they begin ends here.
    if (this.bodies !== undefined) for (const body of this.bodies) body.abandon();
    if (this.pumps !== undefined) for (const outbound of this.pumps) outbound.fail(ENDED);
    clearTimersOf(this);
    if (isLending && this.stubs !== undefined) for (const each of this.stubs) each.end();
    if (this.calls !== undefined) for (const call of this.calls) call.abandon();
  }

  // A set of what ends with it (`bodies`, `timers`, `calls` or `stubs`), or of the bodies that it sends (`pumps`).
  setOf(name) {
    this.hasMore = true;
    return (this[name] ??= new Set());
  }

  // A body or a WebSocket that comes in for this invocation: what is left of it at the end, nobody will read.
  receives(body) {
    this.setOf("bodies").add(body);
  }

  // Keep the invocation alive until this is settled; errors are told, not thrown.
  waitUntil(promise, failed) {
    this.hold();
    this.promised += 1;
    Promise.resolve(promise).then(
      () => this.#kept(),
      (error) => {
        failed(error);
        this.#kept();
      },
    );
  }

  #kept() {
    this.promised -= 1;
    if (this.forsaken) this.#forsake();
    this.release();
  }

  // Let an invocation of long life log anew every minute.
  renewLog() {
    const time = now();
    this.logsSince ??= time;
    if (time - this.logsSince < LOG_MS) return;
    this.logsSince = time;
    this.logged = 0;
  }

  // The caller has gone: the handler's answer is not waited for any more; promised work goes on.
  cancel() {
    this.forsaken = true;
    this.#forsake();
    if (this.answered) return;
    this.answered = true;
    const error = new Error(GONE);
    error.name = "AbortError";
    if (this.aborter !== undefined) run(this, this.aborter, error);
    emit(["fail", this.number, "exception", error.name, error.message, ""]);
    this.release();
  }

  // A body that goes with a call may wait for a reader that waits for us, and so may a stream for whoever writes to it:
  // without a caller, only what was promised is worth that.
  #forsake() {
    if (this.promised > 0) return;
    for (const outbound of [...(this.pumps ?? [])]) {
      outbound.fail(GONE);
      outbound.stop();
    }
    for (const each of [...(this.stubs ?? [])]) each.forsake();
  }
}
inherit(Invocation, {
  open: 1, promised: 0, forsaken: false, logsSince: undefined, logged: 0, answered: false, over: false, hasMore: false,
  timers: undefined, bodies: undefined, pumps: undefined, calls: undefined, stubs: undefined, aborter: undefined,
}); // `open`: how much must finish before it is done, to begin with its handler
keepShapes(Invocation, "number", "over");
