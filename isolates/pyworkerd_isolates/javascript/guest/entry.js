// The engine's calls arrive here: `step` with a frame of events, `load` with a worker's files.

import * as calls from "pyworkerd:system/calls";
import { setBindings } from "pyworkerd:system/environment";
import * as handlers from "pyworkerd:system/handlers";
import { guest, jobs, utf8 } from "pyworkerd:system/host";
import { parse } from "pyworkerd:system/json";
import { onReleased, ownerOf } from "pyworkerd:system/lending";
import { due, goOn, holdBack, isHolding, isQuiet, MAX_DUE } from "pyworkerd:system/loop";
import { describe } from "pyworkerd:system/logs";
import { become, object } from "pyworkerd:system/objects";
import * as outbox from "pyworkerd:system/outbox";
import { take } from "pyworkerd:system/outbox";
import * as sockets from "pyworkerd:system/sockets";
import { waiting } from "pyworkerd:system/sockets";
import * as streams from "pyworkerd:system/streams";
import { crowded } from "pyworkerd:system/streams";
import { crossing, cut, readValue } from "pyworkerd:system/values";
import { entrypoints, load } from "pyworkerd:system/worker";
import "pyworkerd:system/rejections";
import "pyworkerd:workers/bindings";
import "pyworkerd:workers/crossing";
import { WorkerEntrypoint } from "pyworkerd:workers/entrypoint";
import { install } from "pyworkerd:workers/globals";

install(globalThis);

const NOTHING = new Uint8Array(0);
let focus = null;

// The answer to a call: `make` is given whose it is.
function settle(number, make) {
  const waiting = calls.find(number);
  if (waiting === undefined) return;
  let value;
  try {
    value = make(waiting.invocation);
  } catch (error) {
    waiting.settle(waiting.reject, new calls.CallError(`the answer cannot be read: ${error.message}`, "bad_effect"));
    return;
  }
  waiting.settle(waiting.resolve, value);
}

function resolve([, number, kind, ...result], blobs) {
  if (kind === "value") {
    const data = result[0];
    if (typeof data === "number") settle(number, () => readValue(blobs[data]));
    else resolveShared(number, blobs[data[0]], data[1]);
    return;
  }
  if (kind === "upgrade") {
    resolveUpgrade(number, ...result);
    return;
  }
  const [status, headers, described, url] = result;
  if (calls.find(number) === undefined) {
    if (described !== null && described[0] === "s") outbox.emit(["stop", described[1]]);
    return;
  }
  settle(number, (invocation) => ({ status, headers, body: handlers.bodyOf(described, blobs, invocation), url }));
}

function resolveShared(number, frame, numbers) {
  if (calls.find(number) === undefined) crossing.drop(numbers);
  settle(number, (invocation) => crossing.disposable(crossing.readShared(frame, numbers, invocation)));
}

function resolveUpgrade(number, headers, socket, url) {
  const invocation = calls.find(number)?.invocation ?? null;
  const wire = new sockets.Wire(socket, invocation);
  if (invocation === null) {
    wire.cancel();
    return;
  }
  invocation.receives(wire);
  settle(number, () => ({ status: 101, headers, body: null, url, wire }));
}

function reject([, number, code, message, typeName]) {
  const waiting = calls.find(number);
  waiting?.settle(waiting.reject, calls.rejection(code, message, typeName));
}

const EVENTS = {
  __proto__: null,
  prime: warmUp,
  close_gaps() {},
  become: ([, name, id, pages, ...rest], blobs) =>
    become(name, id, pages === null ? NOTHING : blobs[pages], ...rest),
  init: (event, blobs) => setBindings(event[1], event[2], blobs),
  focus(event) {
    focus = new Set(event[1]);
  },
  fetch: handlers.onFetch,
  rpc: handlers.onRpc,
  invoke: handlers.onInvoke,
  released: (event) => onReleased(event[1]),
  handle: handlers.onHandle,
  cancel: (event) => handlers.onCancel(event[1]),
  data: (event, blobs) => streams.onData(event[1], event[2] === null ? null : blobs[event[2]].slice(), event[3]),
  error: (event) => streams.onError(event[1], event[2]),
  pull: (event) => streams.onPull(event[1], event[2]),
  stop: (event) => streams.onStop(event[1]),
  resolve,
  reject,
  ws_message: (event, blobs) =>
    sockets.onMessage(event[1], event[2] === null ? NOTHING : blobs[event[2]], event[3], event[4]),
  ws_closed: (event) => sockets.onClosed(event[1], event[2], event[3], event[4]),
  ws_credit: (event) => sockets.onCredit(event[1], event[2]),
};

// Whose code an event runs, where that is not in it.
const OWNERS = {
  __proto__: null,
  resolve: (event) => calls.find(event[1])?.invocation,
  reject: (event) => calls.find(event[1])?.invocation,
  released: (event) => ownerOf(event[1]),
  data: (event) => streams.receiverOf(event[1]),
  error: (event) => streams.receiverOf(event[1]),
  pull: (event) => streams.senderOf(event[1]),
  stop: (event) => streams.senderOf(event[1]),
  ws_message: (event) => sockets.ownerOf(event[1]),
  ws_closed: (event) => sockets.ownerOf(event[1]),
};

// Whether an event that begins nothing has to wait for its turn.
function hasToWait(event, blobs) {
  return holdBack(OWNERS[event[0]]?.(event) ?? null, () => EVENTS[event[0]](event, blobs));
}

const BEGIN = new Set(["fetch", "rpc", "invoke", "handle", "cancel"]);
// Events whose failure is that of an invocation, and not of the isolate.

guest.step = (header, rest) => {
  try {
    const frame = parse(header); // not taken apart as a pattern, which asks for an iterator
    const lengths = frame[0];
    const events = frame[1];
    const blobs = cut(lengths, rest);
    focus = null;
    for (let i = 0; i < events.length; i++) {
      const event = events[i];
      if (isHolding && hasToWait(event, blobs)) continue;
      try {
        EVENTS[event[0]](event, blobs);
      } catch (error) {
        if (!BEGIN.has(event[0])) throw error;
        handlers.onFailed(error, event[1]);
      }
    }
    return ended();
  } catch (error) {
    return crashed(error);
  }
};

guest.fetch = handlers.onPlainFetch;
guest.rpc = handlers.onPlainRpc;

let broken = null;
// Why `init` failed, which ends the isolate as soon as the host can be told.

guest.init = (text) => {
  try {
    const event = parse(text);
    setBindings(event[1], event[2], NO_BLOBS);
  } catch (error) {
    broken = { error };
    guest.fetch = guest.rpc = () => {};
  }
};

guest.finish = () => {
  if (broken !== null) return crashed(broken.error);
  try {
    handlers.endPlain();
    if (crowded.size === 0 && waiting.size === 0 && object === null && isQuiet()) return take(null);
    focus = null;
    return ended();
  } catch (error) {
    return crashed(error);
  }
};

const NO_BLOBS = [];

// What the step gives out, when all of its events have been told.
function ended() {
  streams.resume(focus);
  goOn(focus);
  object?.commit();
  const more = unsaid(sockets.flush(), streams.held());
  return take(more === null ? due() : [0, more]);
}

function crashed(error) {
  outbox.clear();
  outbox.emit(["crash", describe(error).slice(0, 4096)]);
  return take(null);
}

// Invocations that have more to say than one step has room for; null if none has.
function unsaid(one, other) {
  if (one === null || other === null) return one ?? other;
  return [...new Set([...one, ...other])].slice(0, MAX_DUE);
}

guest.load = load;

// While the engine is built: requests through everything, which are forgotten then. QuickJS makes much of what is built
// in when it is first asked for: so it is part of the base image, and no isolate has to.
function warmUp() {
  const kinds = [
    { fetch: (request) => new Response(request.url) },
    { fetch: async (request) => Response.json([request.method, request.headers.get("host")], { headers: { a: "b" } }) },
    class extends WorkerEntrypoint {
      async fetch(request) {
        const url = new URL(request.url);
        return new Response(await request.text(), { status: 201, headers: { location: url.pathname } });
      }
    },
  ];
  for (const kind of kinds) {
    entrypoints.set("", kind);
    for (let round = 0; round < 2; round++) {
      guest.step(WARM_UP, utf8("body"));
      guest.init('["init",[],{}]');
      guest.fetch(2, "GET", "http://warm.invalid/", '[["host","warm.invalid"]]');
      jobs();
      guest.finish();
    }
  }
  entrypoints.clear();
  setBindings([], {}, []);
}

const WARM_UP = JSON.stringify([
  [4],
  [
    ["init", [], {}],
    ["fetch", 1, null, {}, "POST", "http://warm.invalid/", [["host", "warm.invalid"]], ["b", 0]],
  ],
]);
