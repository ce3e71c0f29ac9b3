// The module "node:timers" (https://nodejs.org/api/timers.html).

import promises from "pyworkerd:node/timers/promises";
import { Immediate, Timeout } from "pyworkerd:node_parts/timers";

export function setTimeout(callback, delay = undefined, ...values) {
  return new Timeout(callback, delay, values, false);
}

export function setInterval(callback, delay = undefined, ...values) {
  return new Timeout(callback, delay, values, true);
}

export function setImmediate(callback, ...values) {
  return new Immediate(callback, values);
}

export function clearTimeout(timer) {
  if (timer instanceof Timeout) timer.close();
  else globalThis.clearTimeout(timer);
}

export { clearTimeout as clearInterval };

export function clearImmediate(immediate) {
  if (immediate instanceof Immediate) immediate.clear();
}

const CUSTOM = Symbol.for("nodejs.util.promisify.custom");
for (const [call, promised] of [[setTimeout, promises.setTimeout], [setImmediate, promises.setImmediate]]) {
  Object.defineProperty(call, CUSTOM, { value: promised, configurable: true });
}

export { promises };
export default {
  setTimeout, setInterval, setImmediate, clearTimeout, clearInterval: clearTimeout, clearImmediate, promises,
};
