// What this isolate lends to other workers, and what it was lent: functions and objects that are called where they are.
//
// The host knows what is lent by a number of this isolate's, and gives stubs numbers of its own, which mean nothing in
// any other isolate. What is lent belongs to the invocation whose code lent it, and ends with it: as an argument when
// that has nothing left to do, while what a method returned keeps it from ending. A stub ends with the invocation that
// was given it.

import { install } from "pyworkerd:system/contexts";
import { reportUnheard } from "pyworkerd:system/logs";
import { run } from "pyworkerd:system/loop";
import * as outbox from "pyworkerd:system/outbox";
import { Streamed } from "pyworkerd:system/sending";

const MAX_LENT = 1000;
const MAX_STUBS = 250;
// What an isolate lends at once, and what one value may name, as on the host, which refuses more; here the caller hears
// it at once.
const DISPOSED =
  "RPC stub used after being disposed. One among a method's arguments is disposed of when the method returns, " +
  "unless it keeps dup() of it.";
const ENDED = "RPC stub used after the request that it came with has ended.";

export let isLending = false;
// Whether there has been anything of it: in most isolates there is not, and nothing else has to be looked at.

const lent = new Map();
const times = new Map(); // how often each target is lent
let next = 1;

// What is lent and keeps its invocation from ending, as an argument too. `_cancel(reason)`: it goes nowhere.
export class Kept {
  invocation = null;
}

// A value as bytes, with what it names by its place: what it lends, stubs to hand on, and bodies that stream.
export class Message {
  constructor(bytes, targets) {
    this.bytes = bytes;
    this.targets = targets;
    this.streams = targets.filter((each) => each instanceof Streamed);
  }

  get length() { return this.bytes.length; }

  // The effect that `sent` is part of is out: bodies follow.
  start(invocation) {
    for (const each of this.streams) each.start(invocation);
  }

  // It goes nowhere.
  cancel(reason) {
    for (const each of this.streams) each.cancel(reason);
    for (const each of this.targets) if (each instanceof Kept) each._cancel(reason);
  }
}

function begins(target) {
  times.set(target, (times.get(target) ?? 0) + 1);
}

// One less stands for a target. Whether it is to be told: that was the last.
function isLast(target) {
  const left = times.get(target) - 1;
  if (left > 0) times.set(target, left);
  else times.delete(target);
  return left === 0 && typeof target !== "function";
}

function tell(target, invocation) {
  try {
    target[Symbol.dispose]?.();
  } catch (error) {
    reportUnheard(invocation, "a disposer failed", error);
  }
}

function ends(target, invocation) {
  if (isLast(target)) run(invocation, () => tell(target, invocation));
}

// A function or an object that others may call.
class Lent {
  constructor(target, invocation, keeps) {
    // From now on code of this invocation and code that others call settle each other's promises: each goes on as whose
    // it is.
    install(globalThis);
    isLending = true;
    this.target = target;
    this.invocation = invocation;
    this.keeps = keeps;
    this.number = next++;
    if (target instanceof Kept) target.invocation = invocation;
    lent.set(this.number, this);
    begins(target);
    if (keeps) invocation.hold();
    invocation.setOf("stubs").add(this);
  }

  // Nobody can call it any more; its target is told if nothing else stands for it.
  end() {
    if (lent.delete(this.number)) ends(this.target, this.invocation);
  }

  // The invocation's caller has gone: for what it lent nobody has to be waited for.
  forsake() {
    if (this.target instanceof Kept) onReleased(this.number);
  }
}

// A stub as the host knows it. `count` is how many objects of the program stand for it.
export class Reference {
  count = 1;

  constructor(number, invocation) {
    this.number = number;
    this.invocation = invocation;
    isLending = true;
    invocation.setOf("stubs").add(this);
  }

  drop() {
    this.count -= 1;
    const { invocation } = this;
    if (this.count > 0 || invocation === null) return;
    invocation.stubs.delete(this);
    this.invocation = null;
    this.dropped(invocation);
  }

  dropped() {
    drop(this.number);
  }

  // The invocation that it was given has ended: the host has dropped it.
  end() {
    this.invocation = null;
  }

  forsake() {}

  needed() {
    if (this.invocation === null) throw new Error(this.count > 0 ? ENDED : DISPOSED);
    return this.number;
  }
}

// A stub of what this isolate has itself: it has no number, and counts as somebody who holds its target.
export class Own extends Reference {
  constructor(target, invocation) {
    super(null, invocation);
    this.target = target;
    begins(target);
  }

  dropped(invocation) {
    if (isLast(this.target)) tell(this.target, invocation); // it is the program that lets go of it, just now
  }

  end() {
    const { invocation } = this;
    super.end();
    ends(this.target, invocation);
  }
}

export function disposedError() {
  return new Error(DISPOSED);
}

// Let go of a stub.
export function drop(number) {
  outbox.emitText(`["drop",${number}]`);
}

// A message as an effect has it; what it lends keeps the invocation from ending, or not. Where it throws, nothing is
// lent. `numberOf` is that of a stub, or null.
export function sent({ bytes, targets }, invocation, numberOf, keeps) {
  if (targets.length > MAX_STUBS) {
    throw new RangeError(`functions, objects, stubs and streams in one call or result may be ${MAX_STUBS}`);
  }
  const numbers = targets.map((target) => (target instanceof Streamed ? undefined : numberOf(target)));
  if (lent.size + numbers.filter((number) => number === null).length > MAX_LENT) {
    throw new RangeError(`an isolate lends ${MAX_LENT} functions and objects at once: dispose of stubs of them first`);
  }
  const references = numbers.map((number, at) => {
    if (number === undefined) return targets[at].refer(invocation);
    if (number !== null) return [false, number];
    return [true, new Lent(targets[at], invocation, keeps || targets[at] instanceof Kept).number];
  });
  return [outbox.blob(bytes), references];
}

// What is lent by this number; undefined if it is not any more.
export function find(number) {
  return lent.get(number)?.target;
}

export function ownerOf(number) {
  return lent.get(number)?.invocation;
}

// Event: nobody holds a stub of this any more.
export function onReleased(number) {
  const found = lent.get(number);
  if (found === undefined) return;
  found.end();
  found.invocation.stubs.delete(found);
  if (found.keeps) found.invocation.release();
}
