// Timers as objects, as Node.js has them; in workers a timer is a number.

import { requireFunction } from "pyworkerd:node_parts/errors";

const { setTimeout: setNumber, clearTimeout: clearNumber } = globalThis;
const MAX_DELAY = 2 ** 31 - 1;

export class Timeout {
  #call;
  #delay;
  #repeats;
  #number = 0;

  constructor(callback, delay, values, repeats) {
    requireFunction(callback, "callback");
    this.#call = () => callback(...values);
    this.#delay = delay >= 1 && delay <= MAX_DELAY ? Math.trunc(delay) : 1;
    this.#repeats = repeats;
    this.refresh();
  }

  refresh() {
    clearNumber(this.#number);
    this.#number = setNumber(() => {
      if (this.#repeats) this.refresh();
      else this.#number = 0;
      this.#call();
    }, this.#delay);
    return this;
  }

  close() {
    clearNumber(this.#number);
    this.#number = 0;
    this.#repeats = false;
    return this;
  }

  // An invocation waits for what it was told to wait for, and for no timer.
  ref() { return this; }
  unref() { return this; }
  hasRef() { return false; }
  [Symbol.toPrimitive]() { return this.#number; }
}

export class Immediate {
  #number;

  constructor(callback, values) {
    requireFunction(callback, "callback");
    this.#number = setNumber(() => callback(...values), 0);
  }

  clear() { clearNumber(this.#number); }
  ref() { return this; }
  unref() { return this; }
  hasRef() { return false; }
}
