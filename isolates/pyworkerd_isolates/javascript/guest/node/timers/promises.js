// The module "node:timers/promises".

import { coded } from "pyworkerd:node_parts/errors";
import { Immediate, Timeout } from "pyworkerd:node_parts/timers";
import { offAbort, onAbort, signalOf } from "pyworkerd:web/abort";

function aborted(signal) {
  const error = coded(Error, "ABORT_ERR", "The operation was aborted");
  error.name = "AbortError";
  error.cause = signal.reason;
  return error;
}

// A promise of a value. `start(done)` begins to wait, and answers how to stop.
async function waited(start, value, options, where) {
  const signal = signalOf(options, where);
  if (signal?.aborted) throw aborted(signal);
  const { promise, resolve, reject } = Promise.withResolvers();
  const stop = start(resolve);
  if (signal === null) {
    await promise;
    return value;
  }
  const abort = () => {
    stop();
    reject(aborted(signal));
  };
  onAbort(signal, abort);
  try {
    await promise;
    return value;
  } finally {
    offAbort(signal, abort);
  }
}

export function setTimeout(delay = 1, value = undefined, options = undefined) {
  const start = (done) => {
    const timer = new Timeout(done, delay, [], false);
    return () => timer.close();
  };
  return waited(start, value, options, "setTimeout");
}

export function setImmediate(value = undefined, options = undefined) {
  const start = (done) => {
    const immediate = new Immediate(done, []);
    return () => immediate.clear();
  };
  return waited(start, value, options, "setImmediate");
}

export async function* setInterval(delay = 1, value = undefined, options = undefined) {
  for (;;) yield await setTimeout(delay, value, options);
}

export const scheduler = {
  wait: (delay, options = undefined) => setTimeout(delay, undefined, options),
  yield: () => setImmediate(),
};

export default { setTimeout, setImmediate, setInterval, scheduler };
