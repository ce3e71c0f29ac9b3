// What a step gives out: effects in the order in which they were asked for, and the bytes that belong to them.
// The bounds here keep an honest worker honest; the host has its own and trusts none of these.

import { utf8 } from "pyworkerd:system/host";

const MAX_TEXT = 524288;
// Characters of text for people (logs, stacks) in one step, as they will be written: half of what the host reads.
export const MAX_BYTES = 7 << 20;
// Bytes beside the effects of one step: with them, what the host takes.
const MANY_EFFECTS = 4096;
// After which bodies wait for the next step: less than half of what the host takes.

let effects = [];
// As JSON already: the engine's JSON.stringify takes longer for a small array than joining texts does.
let blobs = [];
let held = 0;
// Bytes of all blobs.
let written = 0;
export let abandoned = 0;

export function emit(effect) {
  effects[effects.length] = JSON.stringify(effect);
}

// An effect that is JSON already.
export function emitText(text) {
  effects[effects.length] = text; // faster than `push`, and there whatever a program makes of that
}

const RESULT = 0;
const RETURN = 1;
const DONE = 2;
const RESPOND = 3;
// Effects that are many are a number, which the engine writes out (`short.py`): one of these, and four times their
// invocation's. What belongs to them is in `answers`, in the same order.
let answers = [];

// A method returned this: a value's bytes, or one that the engine writes: undefined, null, a boolean, a safe integer, a
// text that `isShort`.
export function emitReturn(number, value) {
  if (typeof value === "string") held += 6 * value.length;
  else if (typeof value === "object" && value !== null) held += value.length;
  answers[answers.length] = value;
  effects[effects.length] = 4 * number + RETURN;
}

// The answer to a request is a text, and nothing else is said of it.
export function emitPage(number, text) {
  answers[answers.length] = counted(text);
  effects[effects.length] = 4 * number + RESPOND;
}

// Nothing of an invocation is left. Where that is so as soon as its method has returned, both are one effect.
export function emitDone(number) {
  const at = effects.length - 1;
  if (at >= 0 && effects[at] === 4 * number + RETURN) effects[at] = 4 * number + RESULT;
  else effects[at + 1] = 4 * number + DONE;
}

// One that the others wait for.
export function emitFirst(text) {
  effects.unshift(text);
}

const SHORT_TEXT = 4096;
// Characters; the engine writes a text that is no longer as UTF-8, three bytes each at most.

export function isShort(text) {
  return text.length <= SHORT_TEXT && text.isWellFormed();
}

// Put bytes beside the effects, or a text as UTF-8. Returns the number that an effect names them by.
export function blob(data) {
  blobs[blobs.length] = counted(data);
  return blobs.length - 1;
}

// What goes beside the effects for bytes or a text, which is counted.
function counted(data) {
  if (typeof data === "string" && data.length <= SHORT_TEXT) {
    held += 3 * data.length;
    return data.isWellFormed() ? data : data.toWellFormed();
  }
  const bytes = typeof data === "string" ? utf8(data) : data;
  held += bytes.length;
  return bytes;
}

// One that ends the object: of the others only what was logged goes out. They tell of what is not kept.
export function emitAlone(effect) {
  effects = effects.filter((each) => typeof each === "string" && each.startsWith('["log",'));
  blobs = [];
  answers = [];
  held = 0;
  emit(effect);
}

// Bytes for which this step has room.
export function room() {
  return MAX_BYTES - held;
}

// The same for a piece of a body, which is an effect of its own.
export function roomForPiece() {
  return effects.length < MANY_EFFECTS ? room() : 0;
}

// What cannot wait for the next step is refused where it is asked for: more than the host takes would end the isolate.
export function refuseTooMuch(size) {
  if (held + size <= MAX_BYTES) return;
  throw new RangeError(`calls and results may have ${MAX_BYTES >> 20} MiB at once: send less, or one after the other`);
}

export function abandon(call) {
  abandoned += 1;
  effects[effects.length] = `["abandon",${call}]`;
}

// Whether this text still fits into this step, and if so, count it.
export function afford(text) {
  const cost = JSON.stringify(text).length * 2 + 64;
  if (written + cost > MAX_TEXT) return false;
  written += cost;
  return true;
}

// All of it, for the engine to write as a frame, with the time at which the loop wants to be run again.
export function take(wake) {
  const due = wake === null ? "null" : JSON.stringify(wake);
  const given = [due, effects, blobs, answers, effects.length, blobs.length, answers.length];
  clear();
  return given;
}

// What was logged while there was nobody to tell: level, source and text of each entry.
export function takeLogs() {
  const logs = [];
  for (const effect of effects.map(JSON.parse)) if (effect[0] === "log") logs.push(effect.slice(2));
  clear();
  return logs;
}

export function clear() {
  effects = [];
  if (blobs.length > 0) blobs = [];
  if (answers.length > 0) answers = [];
  held = written = abandoned = 0;
}
