// Events that begin or end an invocation, and the effects that answer them.

import { checkHeaders } from "pyworkerd:system/calls";
import { env, ExecutionContext } from "pyworkerd:system/environment";
import { Invocation, running } from "pyworkerd:system/invocation";
import { reportUnheard, wordsOf } from "pyworkerd:system/logs";
import { run } from "pyworkerd:system/loop";
import { explained } from "pyworkerd:system/modules";
import { afford, blob, emit, emitText, refuseTooMuch } from "pyworkerd:system/outbox";
import { effectOf, pumpFor } from "pyworkerd:system/sending";
import { Inbound } from "pyworkerd:system/streams";
import { readValue, writeValue } from "pyworkerd:system/values";
import { entrypoints, isMethod } from "pyworkerd:system/worker";
import { makeEvent } from "pyworkerd:workers/background";
import { leaveWith, partsOfResponse, requestOf } from "pyworkerd:workers/http";

function refuse(invocation, reason, message) {
  emit(["fail", invocation.number, reason, "", message, ""]);
}

export function fail(invocation, error) {
  const words = wordsOf(explained(error));
  let { message, trace } = words;
  if (!afford(message + trace)) {
    message = message.slice(0, 80);
    trace = "(left out: too many long stacks at once)";
  }
  emit(["fail", invocation.number, "exception", words.name, message, trace]);
}

// Begin an invocation: `handle` is an async function, given it and an event; what it throws is its failure.
function begin(handle, event, blobs) {
  const invocation = new Invocation(event[1]);
  run(invocation, () => perform(invocation, handle, event, blobs));
}

async function perform(invocation, handle, event, blobs) {
  let failed = null;
  try {
    await handle(invocation, event, blobs);
  } catch (error) {
    failed = { error };
  }
  if (invocation.answered) return;
  invocation.answered = true;
  if (failed !== null) fail(invocation, failed.error);
  invocation.release();
}

// What an entrypoint's handlers are called on, and with: its instance, or the exported object itself.
function instanceOf(invocation, name, props) {
  const found = entrypoints.get(name ?? "");
  if (found === undefined) {
    refuse(invocation, "no_entrypoint", `the worker exports no entrypoint '${name ?? "default"}'`);
    return null;
  }
  const ctx = new ExecutionContext(invocation, props, (error) =>
    reportUnheard(invocation, "a waitUntil() task failed", error),
  );
  const isClass = typeof found === "function";
  return { instance: isClass ? new found(ctx, env) : found, isClass, ctx };
}

export function onFetch(event, blobs) {
  begin(fetch, event, blobs);
}

async function fetch(invocation, event, blobs) {
  const request = requestOf(event[4], event[5], event[6], bodyOf(event[7], blobs, invocation));
  const target = instanceOf(invocation, event[2], event[3]);
  if (target === null) return;
  const { instance } = target;
  if (typeof instance.fetch !== "function") {
    refuse(invocation, "no_handler", "the entrypoint has no fetch() handler");
    return;
  }
  const answer = target.isClass ? instance.fetch(request) : instance.fetch(request, env, target.ctx);
  const response = await answer;
  if (!invocation.answered) respond(invocation, response);
}

// A body as an event describes it: nothing, bytes in hand, or what arrives piece by piece.
export function bodyOf(described, blobs, invocation) {
  if (described === null) return null;
  return described[0] === "b" ? blobs[described[1]].slice() : new Inbound(described[1], invocation);
}

function respond(invocation, response) {
  const parts = partsOfResponse(response);
  checkHeaders(parts.pairs);
  if (parts.rest.webSocket !== null) {
    const number = leaveWith(parts, invocation);
    emitText(`["upgrade",${invocation.number},${JSON.stringify(parts.pairs)},${number}]`);
    return;
  }
  const { effect, pump } = effectOf(invocation, parts.body);
  emitText(`["respond",${invocation.number},${parts.status},${JSON.stringify(parts.pairs)},${effect}]`);
  if (pump !== null) pumpFor(invocation, pump);
}

export function onRpc(event, blobs) {
  begin(call, event, blobs);
}

async function call(invocation, event, blobs) {
  const target = instanceOf(invocation, event[2], event[3]);
  if (target === null) return;
  const method = event[4];
  if (!target.isClass || !isMethod(target.instance, method)) {
    refuse(invocation, "no_method", `the entrypoint has no method '${method}'`);
    return;
  }
  const [positional, named] = readValue(blobs[event[5]].slice());
  // What Python names its arguments with comes as one object, after the others.
  if (named !== undefined && Object.keys(named).length > 0) positional.push(named);
  giveBack(invocation, await target.instance[method](...positional));
}

function giveBack(invocation, value) {
  if (invocation.answered) return;
  const data = writeValue(value);
  refuseTooMuch(data.length);
  emitText(`["return",${invocation.number},${blob(data)}]`);
}

export function onHandle(event, blobs) {
  begin(handle, event, blobs);
}

async function handle(invocation, event, blobs) {
  const target = instanceOf(invocation, event[2], event[3]);
  if (target === null) return;
  const { instance, isClass, ctx } = target;
  const handler = event[4];
  if (typeof instance[handler] !== "function") {
    refuse(invocation, "no_handler", `the entrypoint has no ${handler}() handler`);
    return;
  }
  const { given, outcome, failed } = makeEvent(handler, readValue(blobs[event[5]].slice()));
  try {
    await (isClass ? instance[handler](given) : instance[handler](given, env, ctx));
  } catch (error) {
    if (failed === undefined) throw error;
    reportUnheard(invocation, `${handler}() failed`, error);
    giveBack(invocation, failed());
    return;
  }
  giveBack(invocation, outcome());
}

export function onCancel(number) {
  running.get(number)?.cancel();
}

// An invocation could not be begun, or be cancelled: it is over.
export function onFailed(error, number) {
  const invocation = running.get(number) ?? new Invocation(number);
  fail(invocation, error);
  invocation.end();
}
