// setTimeout and its kin, and `scheduler`.

import { signalOf, onAbort, offAbort } from "pyworkerd:web/abort";
import { expose, illegalConstructor, requireArguments } from "pyworkerd:web/idl";
import { reportError } from "pyworkerd:web/report";
import { clearTimer, setTimer } from "pyworkerd:system";

// The shot that each interval waits for, by the number of its first one. An interval may end with its request, of which
// nothing is heard here: what nobody refers to any more is left out when there are many.
const intervals = new Map();
const FEW = 64;
let many = FEW;

export function setTimeout(callback, delay = undefined, ...rest) {
  return setTimer(guarded(callback, rest, "setTimeout"), wholeMilliseconds(delay));
}
Object.defineProperty(setTimeout, "length", { value: 1 });

export function setInterval(callback, delay = undefined, ...rest) {
  const call = guarded(callback, rest, "setInterval");
  const milliseconds = wholeMilliseconds(delay);
  const shot = { number: 0 };
  const fire = () => {
    shot.number = setTimer(fire, milliseconds);
    call();
  };
  const first = setTimer(fire, milliseconds);
  shot.number = first;
  if (intervals.size >= many) sweep();
  intervals.set(first, new WeakRef(shot));
  return first;
}
Object.defineProperty(setInterval, "length", { value: 1 });

function sweep() {
  for (const [number, shot] of intervals) if (shot.deref() === undefined) intervals.delete(number);
  many = Math.max(FEW, 2 * intervals.size);
}

const queue = globalThis.queueMicrotask;

// The engine's own, and what a callback throws is told: there it is lost.
export function queueMicrotask(callback) {
  queue(guarded(callback, [], "queueMicrotask"));
}

export function clearTimeout(id = undefined) {
  const number = Number(id);
  const shot = intervals.get(number)?.deref();
  intervals.delete(number);
  clearTimer(shot === undefined ? number : shot.number);
}

export function clearInterval(id = undefined) {
  clearTimeout(id);
}

function guarded(callback, rest, name) {
  if (typeof callback !== "function") throw new TypeError(`${name}: the first argument must be a function.`);
  return () => {
    try {
      callback(...rest);
    } catch (error) {
      reportError(error);
    }
  };
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
