// What the engine alone can do (`glue.py`), kept where no program finds it.

const { host } = globalThis.pyworkerd;

export const guest = globalThis.pyworkerd.guest;

export const encode = host.encode;
// A text as UTF-8. Without its partner, half a surrogate pair is refused: see `utf8`.

export const decode = host.decode;
// The text of UTF-8 that is known to be right.

export function utf8(text) {
  return encode(text.isWellFormed() ? text : text.toWellFormed());
}

// What one of the guest's own modules exports, evaluated now if it was not yet. `import()` would be later.
export function required(name) {
  let found = namespaces.get(name);
  if (found === undefined) {
    ({ found } = host.evaluate(`import * as found from "${name}"; export { found };`));
    namespaces.set(name, found);
  }
  return found;
}

// How many levels deep a text of JSON is.
export const { nesting } = host;

const namespaces = new Map();
// Each evaluation is a module of its own, which is never forgotten.

// The guest's own module that a program means by this name, or undefined.
export const { ownName, ofNode } = globalThis.pyworkerd.guest;

const MOST_JOBS = 100000;
// After which the engine comes back in between.

// Run what promises have made ready, and what that makes ready.
export function jobs() {
  while (host.jobs(0) === MOST_JOBS);
}

// All of that out of its queue, unrun: a number for it, 0 if there is none. Each such number is given back once.
export function takeJobs() {
  return host.take(0);
}

export function giveJobs(number) {
  host.give(number);
}

export const plainText = host.plain_text;
// The text of a frame of `system/values`, if it is short, has no blobs, and no value in it has a tag; else undefined.

export const { settled } = host;
// What a promise was fulfilled with; the promise itself if it was not, or if a job waits in the queue.

export function now() {
  return host.now(0);
}

export const { hash, chain, table } = host;
// Blocks of SHA-1 and SHA-2, and rounds of PBKDF2: see `web/digest.js`. Bytes of tables: see `web/legacy_encoding.js`.

const AT_ONCE = 65536;

export class EntropyAtTopLevel extends Error {
  constructor() {
    super("random numbers are there while a request is handled: at the top level every isolate would share them");
    this.name = "EntropyAtTopLevel";
  }
}

let asked = false;

export function random(size) {
  if (!host.keyed(0) || loading) {
    asked = true;
    throw new EntropyAtTopLevel();
  }
  return host.random(size);
}

let loading = false;

export function forbidEntropy() {
  loading = true;
  asked = false;
}

// Whether a program asked for random numbers at its top level, also if it caught what that threw.
export function allowEntropy() {
  loading = false;
  return asked;
}

export function fill(bytes) {
  for (let at = 0; at < bytes.length; at += AT_ONCE) {
    bytes.set(random(Math.min(AT_ONCE, bytes.length - at)), at);
  }
}

// Math.random from the engine's generator: QuickJS has its own, whose state every isolate of an image would begin with.
const DRAWN = 64;
let numbers = null;
let place = DRAWN;

export function randomNumber() {
  if (place === DRAWN) {
    numbers = new BigUint64Array(random(8 * DRAWN).buffer);
    place = 0;
  }
  return Number(numbers[place++] >> 11n) / 9007199254740992;
}

// Before an image is taken: nothing that was drawn may be in it.
export function forgetNumbers() {
  numbers = null;
  place = DRAWN;
}
