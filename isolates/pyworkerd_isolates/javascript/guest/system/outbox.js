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

let returned = 0;
// The number of the invocation whose method has returned last, 0 if none has; where the effect is, and the rest of it.
let place = 0;
let rest = "";

// A method returned: `value` is JSON, as the effect names it.
export function emitReturn(number, value) {
  returned = number;
  rest = `${number},${value}]`;
  place = effects.length;
  effects[place] = `["return",${rest}`;
}

// Nothing of an invocation is left. Where that is so as soon as its method has returned, both are one effect.
export function emitDone(number) {
  if (returned === number && place === effects.length - 1) effects[place] = `["result",${rest}`;
  else effects[effects.length] = `["done",${number}]`;
}

// One that the others wait for.
export function emitFirst(text) {
  returned = 0;
  effects.unshift(text);
}

const SHORT_TEXT = 4096;
// Characters; the engine writes a text that is no longer as UTF-8, three bytes each at most.

// Put bytes beside the effects, or a text as UTF-8. Returns the number that an effect names them by.
export function blob(data) {
  if (typeof data === "string" && data.length <= SHORT_TEXT) {
    held += 3 * data.length;
    blobs[blobs.length] = data.isWellFormed() ? data : data.toWellFormed();
  } else {
    const bytes = typeof data === "string" ? utf8(data) : data;
    held += bytes.length;
    blobs[blobs.length] = bytes;
  }
  return blobs.length - 1;
}

// One that ends the object: of the others only what was logged goes out. They tell of what is not kept.
export function emitAlone(effect) {
  effects = effects.filter((text) => text.startsWith('["log",'));
  returned = 0;
  blobs = [];
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
  const given = [due, effects, blobs, effects.length, blobs.length];
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
  blobs = [];
  returned = 0;
  held = written = abandoned = 0;
}
