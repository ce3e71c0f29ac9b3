// setTimeout and its kin, and `scheduler`.

import { signalOf, onAbort, offAbort } from "pyworkerd:web/abort";
import { expose, illegalConstructor, requireArguments } from "pyworkerd:web/idl";
import { reportError } from "pyworkerd:web/report";
import { clearTimer, setTimer } from "pyworkerd:system";

// Ours, not the system's: an interval keeps its id from one shot to the next.
const running = new Map();
let last = 0;

export function setTimeout(callback, delay = undefined, ...rest) {
  return start(callback, delay, rest, false, "setTimeout");
}
Object.defineProperty(setTimeout, "length", { value: 1 });

export function setInterval(callback, delay = undefined, ...rest) {
  return start(callback, delay, rest, true, "setInterval");
}
Object.defineProperty(setInterval, "length", { value: 1 });

export function clearTimeout(id = undefined) {
  const number = Number(id);
  const shot = running.get(number);
  if (shot === undefined) return;
  running.delete(number);
  clearTimer(shot);
}

export function clearInterval(id = undefined) {
  clearTimeout(id);
}

function start(callback, delay, rest, repeat, name) {
  if (typeof callback !== "function") throw new TypeError(`${name}: the first argument must be a function.`);
  const milliseconds = wholeMilliseconds(delay);
  last += 1;
  const id = last;
  const fire = () => {
    if (repeat) running.set(id, setTimer(fire, milliseconds));
    else running.delete(id);
    try {
      callback(...rest);
    } catch (error) {
      reportError(error);
    }
  };
  running.set(id, setTimer(fire, milliseconds));
  return id;
}

// As WebIDL's `long`: what is no number, negative or larger than 2^31 - 1 is 0.
function wholeMilliseconds(delay) {
  return Math.max(0, Number(delay) | 0);
}

export class Scheduler {
  constructor() { throw illegalConstructor(); }

  /** A promise that is fulfilled after so many milliseconds, or rejected when `signal` is aborted. */
  async wait(delay, options = undefined) {
    requireArguments(arguments.length, 1, "'wait' on 'Scheduler'");
    const signal = signalOf(options, "scheduler.wait");
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers();
    const shot = setTimer(() => {
      if (signal !== null) offAbort(signal, stop);
      resolve();
    }, wholeMilliseconds(delay));
    function stop(reason) {
      clearTimer(shot);
      reject(reason);
    }
    if (signal !== null) onAbort(signal, stop);
    return promise;
  }
}
expose(Scheduler);

export const scheduler = Object.create(Scheduler.prototype);
