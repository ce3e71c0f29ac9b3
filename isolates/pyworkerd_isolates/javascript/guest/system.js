// What the web platform's modules need of the host.

import { CallError, call } from "pyworkerd:system/calls";
import { meta } from "pyworkerd:system/environment";
import { log as write } from "pyworkerd:system/logs";
import { needed } from "pyworkerd:system/loop";
import { writeValue } from "pyworkerd:system/values";

export { chain, decode, encode, fill, hash, now, table } from "pyworkerd:system/host";
export { authored } from "pyworkerd:system/positions";
export { clearTimer, inContext, setTimer } from "pyworkerd:system/loop";

const LEVELS = { debug: "debug", log: "info", info: "info", warn: "warning", error: "error", trace: "debug" };

export function log(level, text) {
  write(LEVELS[level] ?? "info", text);
}

const FAILURES = new Set(["DataError", "OperationError", "NotSupportedError"]);

/** What only the host can compute, see `pyworkerd.webcrypto.operations`. Raises DOMExceptions of the standard. */
export async function compute(method, ...values) {
  needed();
  if (typeof meta.crypto !== "number") throw new CallError("this worker has no host that computes", "access_denied");
  try {
    return await call(meta.crypto, method, writeValue([values, {}]));
  } catch (error) {
    const type = CallError.typeOf(error);
    throw FAILURES.has(type) ? new DOMException(CallError.reasonOf(error), type) : error;
  }
}
