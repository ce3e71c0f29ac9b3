// Events that begin or end an invocation, and the effects that answer them.

import { headersText } from "pyworkerd:system/calls";
import { env, ExecutionContext } from "pyworkerd:system/environment";
import { Invocation, running } from "pyworkerd:system/invocation";
import { find, sent } from "pyworkerd:system/lending";
import { isA, reportUnheard, wordsOf } from "pyworkerd:system/logs";
import { begun, enterFirst, GOES_ON, isThere, leave, promised, runFirst, sure } from "pyworkerd:system/loop";
import { explained } from "pyworkerd:system/modules";
import { object } from "pyworkerd:system/objects";
import { afford, emit, emitPage, emitReturn, emitSimple, emitText, refuseTooMuch, room } from "pyworkerd:system/outbox";
import { effectOf, pumpFor } from "pyworkerd:system/sending";
import { Inbound } from "pyworkerd:system/streams";
import { crossing, readValue, writeAnswer, writeValue } from "pyworkerd:system/values";
import { entrypoints, methodOf } from "pyworkerd:system/worker";
import { plainRequest } from "pyworkerd:web/request";
import { textOfPlain } from "pyworkerd:web/response";
import { makeEvent } from "pyworkerd:workers/background";
import { leaveWith, partsOfResponse, requestOf } from "pyworkerd:workers/http";
import { lentMember, missing } from "pyworkerd:workers/stubs";

// Why an invocation cannot be begun: nothing that the program did.
class Refusal {
  constructor(reason, message) {
    this.reason = reason;
    this.message = message;
  }
}

export function fail(invocation, error) {
  if (isA(error, Refusal)) {
    emit(["fail", invocation.number, error.reason, "", error.message, ""]);
    return;
  }
  const words = wordsOf(explained(error));
  let { message, trace } = words;
  if (!afford(message + trace)) {
    message = message.slice(0, 80);
    trace = "(left out: too many long stacks at once)";
  }
  emit(["fail", invocation.number, "exception", words.name, message, trace]);
}

// Begin an invocation. A kind of them has two functions: `ask` is given the invocation and the event and calls the
// program, `tell` is given the invocation and what the program answered, and may promise to be done later; what either
// throws is its failure.
function begin(kind, event, blobs) {
  const invocation = new Invocation(event[1]);
  if (!runFirst(invocation, perform, kind, event, blobs)) invocation.release();
}

// Returns whether the answer is still to come. Where it is there, be it as a promise that is fulfilled, nothing is made
// that waits for it: that would cost a third of a step.
function perform(invocation, kind, event, blobs, more) {
  try {
    let answer = kind.ask(invocation, event, blobs, undefined, more);
    const isObject = typeof answer === "object" ? answer !== null : typeof answer === "function";
    if (isObject && typeof answer.then === "function") {
      const promise = answer;
      answer = promised(promise);
      if (answer === promise) {
        settle(kind.tell, invocation, promise);
        return true;
      }
    }
    const rest = kind.tell(invocation, answer);
    if (rest !== undefined) {
      settle(() => {}, invocation, rest);
      return true;
    }
  } catch (error) {
    fail(invocation, error);
  }
  invocation.answered = true;
  if (isGiven) letGo(invocation);
  return false;
}

// Begin an invocation of which the engine runs the jobs: another event follows, or `endPlain`.
function beginPlain(number, kind, event, blobs, more) {
  if (begun !== null) endPlain();
  try {
    const invocation = new Invocation(number);
    if (!enterFirst(invocation)) {
      if (!runFirst(invocation, perform, kind, event, blobs, more)) invocation.release();
      return;
    }
    if (!perform(invocation, kind, event, blobs, more)) isThere(invocation);
  } catch (error) {
    onFailed(error, number);
  }
}

export function endPlain() {
  if (begun === null) return;
  const invocation = leave();
  if (invocation !== GOES_ON) invocation.release();
}

async function settle(tell, invocation, promise) {
  let failed = null;
  try {
    const answer = await sure(promise);
    const rest = invocation.answered ? undefined : tell(invocation, answer);
    if (rest !== undefined) await rest;
  } catch (error) {
    failed = { error };
  }
  if (invocation.answered) return;
  invocation.answered = true;
  if (failed !== null) fail(invocation, failed.error);
  if (isGiven) letGo(invocation);
  invocation.release();
}

function entrypointOf(name) {
  const found = entrypoints.get(name ?? "");
  if (found !== undefined) return found;
  throw new Refusal("no_entrypoint", `the worker exports no entrypoint '${name ?? "default"}'`);
}

// What an entrypoint's handlers are called on, and with: its instance, or the exported object itself.
function instanceOf(invocation, name, props) {
  const found = entrypointOf(name);
  const ctx = new ExecutionContext(invocation, props);
  const isClass = typeof found === "function";
  return { instance: isClass ? new found(ctx, env) : found, isClass, ctx };
}

// In an object: the same is asked once more when its turn has come, with what its handlers are called on.
async function entered(ask, invocation, event, blobs, request) {
  return ask(invocation, event, blobs, await object.enter(), request);
}

export function onFetch(event, blobs) {
  begin(FETCH, event, blobs);
}

function fetch(invocation, event, blobs, target, made) {
  const request = made ?? requestOf(event[4], event[5], event[6], bodyOf(event[7], blobs, invocation));
  if (target !== undefined) return fetchOf(target.instance, target.isClass, request, target.ctx);
  if (object !== null) return entered(fetch, invocation, event, blobs, request);
  return fetchBy(invocation, event[2], event[3], request);
}

function fetchBy(invocation, name, props, request) {
  const found = entrypointOf(name);
  const ctx = new ExecutionContext(invocation, props);
  if (typeof found === "function") return fetchOf(new found(ctx, env), true, request, ctx);
  return fetchOf(found, false, request, ctx);
}

// A request without a body for the default entrypoint; `headers` are a text of JSON.
export function onPlainFetch(number, method, url, headers) {
  beginPlain(number, PLAIN_FETCH, [method, url, headers], null);
}

function plainFetch(invocation, said, blobs, target, made) {
  const request = made ?? plainRequest(said);
  if (target !== undefined) return fetchOf(target.instance, target.isClass, request, target.ctx);
  if (object !== null) return entered(plainFetch, invocation, said, blobs, request);
  return fetchBy(invocation, null, null, request);
}

function fetchOf(instance, isClass, request, ctx) {
  if (typeof instance.fetch !== "function") {
    throw new Refusal("no_handler", "the entrypoint has no fetch() handler");
  }
  return isClass ? instance.fetch(request) : instance.fetch(request, env, ctx);
}

// A body as an event describes it: nothing, bytes in hand, or what arrives piece by piece.
export function bodyOf(described, blobs, invocation) {
  if (described === null) return null;
  return described[0] === "b" ? blobs[described[1]].slice() : new Inbound(described[1], invocation);
}

function respond(invocation, response) {
  const text = room() < 3 * MOST_PLAIN ? undefined : textOfPlain(response, MOST_PLAIN);
  if (text !== undefined) {
    emitPage(invocation.number, text);
    return;
  }
  const parts = partsOfResponse(response);
  const headers = headersText(parts.pairs);
  if (parts.rest.webSocket !== null) {
    const number = leaveWith(parts, invocation);
    emitText(`["upgrade",${invocation.number},${headers},${number}]`);
    return;
  }
  const { effect, pump } = effectOf(invocation, parts.body);
  emitText(`["respond",${invocation.number},${parts.status},${headers},${effect}]`);
  if (pump !== null) pumpFor(invocation, pump);
}

const MOST_PLAIN = 65536;
// Characters: three times as many bytes at most, which is less than a body may have in hand.

const FETCH = { ask: fetch, tell: respond };
const PLAIN_FETCH = { ask: plainFetch, tell: respond };

export function onRpc(event, blobs) {
  begin(RPC, event, blobs);
}

function call(invocation, event, blobs, target) {
  if (object !== null && target === undefined) return entered(call, invocation, event, blobs);
  const { instance, isClass, ctx } = target ?? instanceOf(invocation, event[2], event[3]);
  const name = event[4];
  const method = methodOf(instance, name, isClass);
  if (method === undefined) throw noMethod(name);
  const data = event[5];
  const positional = listed(typeof data === "number" ? readValue(blobs[data]) : shared(invocation, blobs, data));
  return apply(method, instance, isClass ? positional : besides(method, positional, ctx));
}

// What Python names its arguments with comes as one object, after the others.
function listed(given) {
  const positional = given[0];
  const named = given[1];
  if (named !== undefined && Object.keys(named).length > 0) positional.push(named);
  return positional;
}

const { apply } = Reflect;
const { isArray } = Array;

function noMethod(name) {
  return new Refusal("no_method", `the entrypoint has no method '${name}'`);
}

// A call with simple arguments, none of which is named, of a method of the entrypoint of this name, or the default one.
export function onPlainRpc(number, name, given, entrypoint) {
  beginPlain(number, PLAIN_RPC, name, given, entrypoint);
}

function plainCall(invocation, name, given, target, entrypoint) {
  if (target !== undefined) return callOf(target.instance, target.isClass, target.ctx, name, given);
  if (object !== null) return entered(plainCall, invocation, name, given, entrypoint);
  const found = entrypoints.get(entrypoint ?? "") ?? entrypointOf(entrypoint);
  const ctx = new ExecutionContext(invocation, null);
  const isClass = typeof found === "function";
  return callOf(isClass ? new found(ctx, env) : found, isClass, ctx, name, given);
}

function callOf(instance, isClass, ctx, name, given) {
  const method = methodOf(instance, name, isClass);
  if (method === undefined) throw noMethod(name);
  const positional = isArray(given) ? given : listed(readValue(given));
  return apply(method, instance, isClass ? positional : besides(method, positional, ctx));
}

// What a function of an exported object is called with, like a handler: callers give one argument, and never `env`.
function besides(method, positional, ctx) {
  if (positional.length !== 1 || method.length > 3) {
    throw new TypeError("a function of an exported object is called with one argument, and gets (argument, env, ctx): "
      + "a class that extends WorkerEntrypoint can take others");
  }
  return [positional[0], env, ctx];
}

const stubsGiven = new WeakMap();
let isGiven = false;
// Stubs among the arguments of invocations that have not answered, and whether there have been any in this isolate.

// Stubs among arguments end with the call, unless they are kept; streams go on.
function shared(invocation, blobs, [index, numbers]) {
  const { value, stubs } = crossing.readShared(blobs[index], numbers, invocation);
  if (stubs.length === 0) return value;
  stubsGiven.set(invocation, stubs);
  isGiven = true;
  return value;
}

function letGo(invocation) {
  crossing.dispose(stubsGiven.get(invocation) ?? []);
  stubsGiven.delete(invocation);
}

function giveBack(invocation, value) {
  giveBytes(invocation, writeValue(value));
}

function giveBytes(invocation, data) {
  refuseTooMuch(typeof data === "string" ? 3 * data.length : data.length);
  emitReturn(invocation.number, data);
}

function returned(invocation, value) {
  if (!emitSimple(invocation.number, value)) returnedMore(invocation, value);
}

function returnedMore(invocation, value) {
  const data = writeAnswer(value);
  if (typeof data === "string" || data instanceof Uint8Array) {
    giveBytes(invocation, data);
    return;
  }
  try {
    refuseTooMuch(data.length);
    emit(["return", invocation.number, sent(data, invocation, crossing.numberOf, true)]);
  } catch (error) {
    data.cancel(error);
    throw error;
  }
  data.start(invocation);
}

const RPC = { ask: call, tell: returned };
const PLAIN_RPC = { ask: plainCall, tell: returned };

export function onInvoke(event, blobs) {
  begin(INVOKE, event, blobs);
}

function invoke(invocation, event, blobs, target) {
  if (object !== null && target === undefined) return entered(invoke, invocation, event, blobs);
  const [, , loan, reads, name] = event;
  const lent = find(loan);
  if (lent === undefined) throw new Refusal("broken_stub", "");
  const method = lentMember(lent, name, reads);
  if (method === undefined) {
    throw new Refusal("no_method", missing(name, reads));
  }
  const data = event[5];
  const given = typeof data === "number" ? readValue(blobs[data]) : shared(invocation, blobs, data);
  return apply(method, undefined, listed(given));
}

const INVOKE = { ask: invoke, tell: returned };

export function onHandle(event, blobs) {
  begin(HANDLE, event, blobs);
}

async function handle(invocation, event, blobs, target) {
  if (object !== null && target === undefined) return entered(handle, invocation, event, blobs);
  const { instance, isClass, ctx } = target ?? instanceOf(invocation, event[2], event[3]);
  const handler = event[4];
  if (typeof instance[handler] !== "function") {
    throw new Refusal("no_handler", `the entrypoint has no ${handler}() handler`);
  }
  const { given, outcome, failed, begins, ended } = makeEvent(handler, readValue(blobs[event[5]]));
  if (begins !== undefined && !begins()) return null;
  try {
    await (isClass ? instance[handler](given) : instance[handler](given, env, ctx));
  } catch (error) {
    ended?.();
    if (failed === undefined) throw error;
    reportUnheard(invocation, `${handler}() failed`, error);
    return failed();
  }
  return outcome();
}

const HANDLE = { ask: handle, tell: giveBack };

export function onCancel(number) {
  running.get(number)?.cancel();
}

// An invocation could not be begun, or be cancelled: it is over.
export function onFailed(error, number) {
  const invocation = running.get(number) ?? new Invocation(number);
  fail(invocation, error);
  invocation.end();
}
