// What a step gives out: effects in the order in which they were asked for, and the bytes that belong to them.
// The bounds here keep an honest worker honest; the host has its own and trusts none of these.

import { utf8 } from "pyworkerd:system/host";

const MAX_TEXT = 524288;
// Characters of text for people (logs, stacks) in one step, as they will be written: half of what the host reads.
export const MAX_BYTES = 7 << 20;
// Bytes beside the effects of one step: with them, what the host takes.
const MANY_EFFECTS = 4096;
// After which bodies wait for the next step: less than half of what the host takes.

// In one object, since most steps write to it: variables would lie on a page each.
let out = nothing();
let written = 0;
export let abandoned = 0;

function nothing() {
  return {
    effects: [], // JSON already: the engine's JSON.stringify takes longer for a small array than joining texts does
    blobs: null,
    answers: null, // what belongs to effects that are numbers, in the same order
    held: 0, // bytes of both
  };
}

export function emit(effect) {
  out.effects[out.effects.length] = JSON.stringify(effect);
}

// Where the host finds what was logged in a step that never ends (its `last_words`): a mark, a length, effects.
const ROOM = 32768;
const MARK = utf8("last words of it").map((byte) => byte ^ 0x55);
const HEAD = MARK.length + 4;
const box = new Uint8Array(HEAD + ROOM);
box.set(MARK);
let boxed = 0; // bytes of them
const setBytes = Function.prototype.call.bind(Uint8Array.prototype.set);

// A log entry, also put where it is found if this step does not end. It begins anew where that is full.
export function emitLog(effect) {
  const text = JSON.stringify(effect);
  emitText(text);
  const data = utf8(text);
  const at = boxed > 0 && boxed + data.length < ROOM ? boxed + 1 : 0;
  const end = at + data.length;
  if (end > ROOM) return;
  if (at > 0) box[HEAD + at - 1] = 0x2c; // a comma
  setBytes(box, data, HEAD + at);
  mark(end);
}

function mark(size) {
  boxed = size;
  box[HEAD - 4] = size & 255;
  box[HEAD - 3] = size >> 8;
}

// An effect that is JSON already.
export function emitText(text) {
  out.effects[out.effects.length] = text; // faster than `push`, and there whatever a program makes of that
}

const RESULT = 0;
const RETURN = 1;
const DONE = 2;
const RESPOND = 3;
const REPLIED = 4;
// Effects that are many are a number, which the engine writes out (`short.py`): one of these, and eight times their
// invocation's.

// A method returned this, as a value's bytes, or as JSON that the engine makes a value.
export function emitReturn(number, written) {
  const isText = typeof written === "string";
  out.held += isText ? 3 * written.length : written.length;
  emitShort(8 * number + RETURN, isText ? [written] : written);
}

// A method returned this value: whether the engine writes it, as it does most. What is an object it does not.
export function emitSimple(number, value) {
  switch (typeof value) {
    case "number":
      if ((value | 0) === value || isSafeInteger(value)) break;
      if (!isFinite(value) || isInteger(value)) return false;
      emitReturn(number, `${value}`);
      return true;
    case "string":
      if (value.length > SHORT_TEXT || out.held + 6 * value.length > MAX_BYTES || !value.isWellFormed()) return false;
      out.held += 6 * value.length;
      break;
    case "undefined":
    case "boolean":
      break;
    default:
      if (value !== null) return false;
  }
  emitShort(8 * number + RETURN, value);
  return true;
}

const { isFinite, isInteger, isSafeInteger } = Number;

// The answer to a request is a text, and nothing else is said of it.
export function emitPage(number, text) {
  emitShort(8 * number + RESPOND, counted(text));
}

function emitShort(short, answer) {
  const { answers, effects } = out;
  if (answers === null) out.answers = [answer];
  else answers[answers.length] = answer;
  effects[effects.length] = short;
}

// Nothing of an invocation is left. Where that is so as soon as it has answered, both are one effect.
export function emitDone(number) {
  const { effects } = out;
  const at = effects.length - 1;
  const last = at >= 0 ? effects[at] : null;
  if (last === 8 * number + RETURN) effects[at] = 8 * number + RESULT;
  else if (last === 8 * number + RESPOND) effects[at] = 8 * number + REPLIED;
  else effects[at + 1] = 8 * number + DONE;
}

// One that the others wait for.
export function emitFirst(text) {
  out.effects.unshift(text);
}

const SHORT_TEXT = 4096;
// Characters; the engine writes a text that is no longer as UTF-8, three bytes each at most.

// Put bytes beside the effects, or a text as UTF-8. Returns the number that an effect names them by.
export function blob(data) {
  const blobs = (out.blobs ??= []);
  blobs[blobs.length] = counted(data);
  return blobs.length - 1;
}

// What goes beside the effects for bytes or a text, which is counted.
function counted(data) {
  if (typeof data === "string" && data.length <= SHORT_TEXT) {
    out.held += 3 * data.length;
    return data.isWellFormed() ? data : data.toWellFormed();
  }
  const bytes = typeof data === "string" ? utf8(data) : data;
  out.held += bytes.length;
  return bytes;
}

// One that ends the object: of the others only what was logged goes out. They tell of what is not kept.
export function emitAlone(effect) {
  const effects = out.effects.filter((each) => typeof each === "string" && each.startsWith('["log",'));
  out = { ...nothing(), effects };
  emit(effect);
}

// Bytes for which this step has room.
export function room() {
  return MAX_BYTES - out.held;
}

// The same for a piece of a body, which is an effect of its own.
export function roomForPiece() {
  return out.effects.length < MANY_EFFECTS ? room() : 0;
}

// What cannot wait for the next step is refused where it is asked for: more than the host takes would end the isolate.
export function refuseTooMuch(size) {
  if (out.held + size <= MAX_BYTES) return;
  throw new RangeError(`calls and results may have ${MAX_BYTES >> 20} MiB at once: send less, or one after the other`);
}

export function abandon(call) {
  abandoned += 1;
  out.effects[out.effects.length] = `["abandon",${call}]`;
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
  const { effects, blobs, answers } = out;
  clear();
  const due = wake === null ? null : JSON.stringify(wake);
  return [due, effects, blobs, answers, effects.length, blobs?.length ?? 0, answers?.length ?? 0];
}

// What was logged while there was nobody to tell: level, source and text of each entry.
export function takeLogs() {
  const logs = [];
  for (const effect of out.effects.map(JSON.parse)) if (effect[0] === "log") logs.push(effect.slice(2));
  if (boxed > 0) mark(0);
  out = nothing(); // beside what else is new, for the first step to write to
  return logs;
}

export function clear() {
  out.effects = [];
  out.blobs = out.answers = null;
  out.held = 0;
  if (boxed > 0) mark(0);
  if (written > 0) written = 0;
  if (abandoned > 0) abandoned = 0;
}
