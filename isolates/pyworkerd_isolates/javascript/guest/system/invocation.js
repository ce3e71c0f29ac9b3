// One run of a handler: its number, what it has promised to finish after it answered, what ends with it.

import { clearTimersOf, run } from "pyworkerd:system/loop";
import { emit, emitText } from "pyworkerd:system/outbox";

export const running = new Map();
// Invocations that have begun and are not done, by number.

export class Invocation {
  number;
  logged = 0;
  answered = false;
  timers = undefined;
  bodies = undefined;
  calls = undefined;
  aborter = undefined;
  #open = 1; // its handler

  constructor(number) {
    this.number = number;
    running.set(number, this);
  }

  // Something more must finish before this invocation is done: a body that is sent, a `waitUntil`.
  hold() {
    this.#open += 1;
  }

  release() {
    this.#open -= 1;
    if (this.#open === 0) this.end();
  }

  end() {
    if (!running.delete(this.number)) return;
    clearTimersOf(this);
    if (this.bodies !== undefined) for (const body of this.bodies) body.cancel();
    if (this.calls !== undefined) for (const call of this.calls) call.abandon();
    emitText(`["done",${this.number}]`);
  }

  // A body that comes in for this invocation: what is left of it at the end, nobody will read.
  receives(body) {
    (this.bodies ??= new Set()).add(body);
  }

  // Keep the invocation alive until this is settled; errors are told, not thrown.
  waitUntil(promise, failed) {
    this.hold();
    Promise.resolve(promise).then(
      () => this.release(),
      (error) => {
        failed(error);
        this.release();
      },
    );
  }

  // The caller has gone: the handler's answer is not waited for any more; promised work goes on.
  cancel() {
    if (this.answered) return;
    this.answered = true;
    const error = new Error("the caller of this invocation has gone");
    error.name = "AbortError";
    if (this.aborter !== undefined) run(this, this.aborter, error);
    emit(["fail", this.number, "exception", error.name, error.message, ""]);
    this.release();
  }
}
