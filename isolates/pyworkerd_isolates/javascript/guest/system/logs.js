// Log entries: accounted to the invocation that runs and to the step, as the host counts them.

import { utf8 } from "pyworkerd:system/host";
import { current } from "pyworkerd:system/loop";
import { authored } from "pyworkerd:system/positions";
import { meta } from "pyworkerd:system/environment";
import { afford, emitLog } from "pyworkerd:system/outbox";

const MAX_MESSAGE = 16384;
const MAX_NAME = 256;
const MAX_TOLD = 8192;
const LIMIT = 262144;
const ENTRY = 64;
// What each entry counts besides its bytes.

// The host cuts the entry that reaches the limit; what would come after it is not sent.
export function log(level, message, source = "console", invocation = current) {
  let text = message;
  if (text.length > MAX_MESSAGE) text = `${text.slice(0, MAX_MESSAGE)} [cut: ${text.length} characters]`;
  let number = 0;
  if (invocation !== null) {
    number = invocation.number;
    const limit = meta.log_bytes ?? LIMIT;
    if (invocation.logged >= limit) return;
    invocation.logged += utf8(text).length + ENTRY;
    if (!afford(text)) {
      invocation.logged = limit;
      emitLog(["log", number, "warning", "pyworkerd", "this invocation logs too much at once: the rest is dropped"]);
      return;
    }
  } else if (!afford(text)) return;
  emitLog(["log", number, level, source, text]);
}

const MACHINERY = /^ +at .*\b(?:pyworkerd:|eval_script:|native\)$)/;

// A stack as the program's author should see it: without the lines of this machinery, and with those of the source.
export function stackOf(error) {
  const stack = typeof error.stack === "string" ? error.stack : "";
  return authored(stack.split("\n").filter((line) => !MACHINERY.test(line)).join("\n"));
}

export function describe(error) {
  try {
    if (!(error instanceof Error)) return String(error);
    return `${error.name}: ${error.message}\n${stackOf(error)}`.trimEnd();
  } catch {
    return "an error that cannot be shown";
  }
}

// A failure that nobody else hears of.
export function reportUnheard(invocation, what, error) {
  log("error", `${what}\n${describe(error)}`, "workers", invocation);
}

// What the host is told of an error: whatever was thrown, each is a text of bounded length.
export function wordsOf(error) {
  const known = isA(error, Error);
  let name = "Error";
  let message = "";
  try {
    name = (known ? String(error.name) : "Error").slice(0, MAX_NAME);
    message = (known ? String(error.message) : String(error)).slice(0, MAX_TOLD);
  } catch {
    message = "an error that cannot be shown";
  }
  if (isMemoryError(error)) name = "MemoryError"; // the host's word
  return { name, message, trace: describe(error).slice(0, 2 * MAX_TOLD) };
}

// Whether an error is of a class. What was thrown may be a proxy that throws when it is asked for its prototype.
export function isA(error, kind) {
  try {
    return error instanceof kind;
  } catch {
    return false;
  }
}

// As the engine says that there is no more memory.
export function isMemoryError(error) {
  try {
    return error instanceof InternalError && error.message === "out of memory";
  } catch {
    return false;
  }
}
