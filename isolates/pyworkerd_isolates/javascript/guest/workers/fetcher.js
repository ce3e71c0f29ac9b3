// Another service: `fetch()` sends it a request, any other name is one of its RPC methods.

import { meta } from "pyworkerd:system/environment";
import { CallError } from "pyworkerd:system/calls";
import { needed } from "pyworkerd:system/loop";
import { Capability, grantable } from "pyworkerd:workers/capability";
import { Followed } from "pyworkerd:workers/followed";
import { prototype } from "pyworkerd:workers/pipelining";
import { dataResponse, responseOf, sendable } from "pyworkerd:workers/http";

const { setPrototypeOf } = Object;

const OUTBOUND = 0;
// The worker's own way out: index 0 of every worker's table.

export class Fetcher extends Capability {
  async fetch(input, init) {
    return send(this, input, init);
  }
}

async function send(capability, input, init) {
  return sendParts(capability, sendable(input, init));
}

export async function sendParts(capability, { method, url, pairs, body, redirect, signal }) {
  const answer = await Capability.fetch(capability, method, url, pairs, body, redirect, signal);
  if (signal !== null && answer.body !== null) answer.body = new Followed(answer.body, signal);
  return responseOf(answer, url);
}

// Private fields belong to the object behind the proxy, and so its methods are called on that one.
function bound(target, name) {
  const value = target[name];
  return typeof value === "function" && name !== "constructor" ? value.bind(target) : value;
}

// For `withMethods`: every name that something has not itself is a method, called by `call`.
export function methodsBy(call) {
  return {
    get(target, name) {
      if (typeof name === "symbol" || name in target) return bound(target, name);
      if (name === "then") return undefined; // it is no promise
      return (...positional) => setPrototypeOf(asked(call, target, name, positional), prototype);
    },
  };
}

// What it throws is for who awaits it.
async function asked(call, target, name, positional) {
  return call(target, name, positional);
}

const METHODS = methodsBy(Capability.ask);

// Something that is asked by `fetch()` and by its methods, as programs see it.
export function withMethods(asked, methods = METHODS) {
  return new Proxy(asked, methods);
}

export function fetcher(index) {
  return grantable(withMethods(new Fetcher(index)), index);
}

let outbound = null;

// Send a request to the network, as far as this worker's `globalOutbound` lets it.
export function fetch(input, init = undefined) {
  needed();
  return sendOut(input, init);
}
Object.defineProperty(fetch, "length", { value: 1 });

async function sendOut(input, init) {
  const parts = sendable(input, init);
  if (parts.signal?.aborted) {
    parts.body?.stream?.cancel(parts.signal.reason);
    throw parts.signal.reason;
  }
  if (parts.url.startsWith("data:")) return dataResponse(parts);
  if (meta.outbound === false) {
    throw new CallError("this worker has no outbound network (global_outbound = false)", "access_denied");
  }
  outbound ??= new Fetcher(OUTBOUND);
  return sendParts(outbound, parts);
}
