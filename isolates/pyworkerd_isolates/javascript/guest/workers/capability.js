// Something outside that may be asked: what the objects on `env` are made of.

import { call, fetchThrough } from "pyworkerd:system/calls";
import { Message } from "pyworkerd:system/lending";
import { writeMessage, writeValue } from "pyworkerd:system/values";

const indexes = new WeakMap();

// What a program was given, with its index: it can be given on to a worker that it loads.
export function grantable(value, index) {
  indexes.set(value, index);
  return value;
}

// The index of what a program was given; undefined for anything else.
export function indexOf(value) {
  const isHeld = (typeof value === "object" && value !== null) || typeof value === "function";
  return isHeld ? indexes.get(value) : undefined;
}

export class Capability {
  #index;

  constructor(index) {
    this.#index = index;
  }

  // Private to the guest's own classes: programs see objects of these.
  static call(capability, method, ...positional) {
    return call(capability.#index, method, writeValue([positional, {}]));
  }

  // The same, with a message as the last argument: what it lends goes with the call.
  static callWith(capability, method, sent, ...positional) {
    if (sent instanceof Uint8Array) return Capability.call(capability, method, ...positional, sent);
    const bytes = writeValue([[...positional, sent.bytes], {}]);
    const message = new Message(bytes, sent.targets);
    return call(capability.#index, method, message);
  }

  // The same for a method that a program has: its arguments may be objects of the web platform.
  static ask(capability, method, positional) {
    return call(capability.#index, method, writeMessage([positional, {}]));
  }

  static fetch(capability, method, url, headers = [], body = null, redirect = "manual", signal = null) {
    return fetchThrough(capability.#index, method, url, headers, body, redirect, signal);
  }
}
