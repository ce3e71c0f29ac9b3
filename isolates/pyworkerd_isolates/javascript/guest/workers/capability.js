// Something outside that may be asked: what the objects on `env` are made of.

import { call, fetchThrough } from "pyworkerd:system/calls";
import { writeValue } from "pyworkerd:system/values";

export class Capability {
  #index;

  constructor(index) {
    this.#index = index;
  }

  // Private to the guest's own classes: programs see objects of these.
  static call(capability, method, ...positional) {
    return call(capability.#index, method, writeValue([positional, {}]));
  }

  static fetch(capability, method, url, headers = [], body = null, redirect = "manual", signal = null) {
    return fetchThrough(capability.#index, method, url, headers, body, redirect, signal);
  }
}
