// The worker inside this isolate: its files, its top level, its entrypoints.

import { exposeBindings, wrappers } from "pyworkerd:system/environment";
import { allowEntropy, forbidEntropy, forgetNumbers } from "pyworkerd:system/host";
import { stackOf, wordsOf } from "pyworkerd:system/logs";
import { drain } from "pyworkerd:system/loop";
import * as modules from "pyworkerd:system/modules";
import { takeLogs } from "pyworkerd:system/outbox";
import { cut } from "pyworkerd:system/values";
import { keepShapes } from "pyworkerd:web/idl";
import { DurableObject, WorkerEntrypoint } from "pyworkerd:workers/entrypoint";
import { handlersOfScript } from "pyworkerd:workers/script";

const HANDLERS = ["fetch", "scheduled", "queue", "tail", "trace", "email", "connect", "test", "alarm"];
const EVENTS = ["webSocketMessage", "webSocketClose", "webSocketError"];
const RESERVED = { __proto__: null };
for (const name of [...HANDLERS, ...EVENTS, "dup", "constructor"]) RESERVED[name] = true;
// Names that are never RPC methods (the platform's list).

const PLACE = /(?:at |\()\/(\S+?):(\d+)(?::\d+)?\)?$/m;
// The first line of a stack that is the program's own: its files' names begin with "/", those of others do not.

export const entrypoints = new Map();
// What is exported, by name; "" is the default export.
export const objects = new Map();
// Exported classes of Durable Objects by name.

// The RPC method of this name that an entrypoint has, or undefined: an instance one of its class, an exported object
// one of its own; none of every object, and none that is private.
export function methodOf(instance, name, isClass) {
  if (RESERVED[name] || name[0] === "_" || hasOwn(instance, name) === isClass) return undefined;
  const method = instance[name];
  return typeof method === "function" && method !== common[name] ? method : undefined;
}

const { hasOwn, prototype: common } = Object;

function isKind(value, kind) {
  return typeof value === "function" && value.prototype instanceof kind;
}

// Whether it is a class of Durable Objects of the older kind, which extends nothing.
function isObjectClass(value) {
  if (typeof value !== "function" || isKind(value, WorkerEntrypoint)) return false;
  const isClass = Function.prototype.toString.call(value).startsWith("class");
  return isClass && ["fetch", "alarm"].some((name) => typeof value.prototype[name] === "function");
}

function handlersOf(value) {
  const found = typeof value === "function" ? value.prototype : value;
  return HANDLERS.filter((name) => typeof found?.[name] === "function").sort();
}

function exported(namespace) {
  for (const [name, value] of Object.entries(namespace)) {
    if (isKind(value, DurableObject) || (name !== "default" && isObjectClass(value))) {
      objects.set(name, value);
      continue;
    }
    const key = name === "default" ? "" : name;
    if (isKind(value, WorkerEntrypoint)) {
      entrypoints.set(key, value);
      keepShapes(value, "ctx", "env");
    } else if (value !== null && typeof value === "object" && (key === "" || handlersOf(value).length > 0)) {
      entrypoints.set(key, value);
    }
  }
  const script = entrypoints.has("") ? null : handlersOfScript();
  if (script !== null) {
    entrypoints.set("", script);
    exposeBindings(globalThis);
  }
  if (entrypoints.size === 0 && objects.size === 0) {
    const remedy = "write `export default { async fetch(request, env, ctx) { ... } }`";
    throw new TypeError(`the worker exports no handler: ${remedy}`);
  }
}

function described(exports) {
  return Object.fromEntries([...exports].map(([key, value]) => [key, handlersOf(value)]));
}

// Run the worker's top level. Answers what the host should know about it, or how it failed.
export function load(header, rest) {
  const [lengths, [main, names, wrapping = []]] = JSON.parse(header);
  const blobs = cut(lengths, rest);
  for (const [path, index, kind] of names) modules.addFile(path, blobs[index].slice(), kind);
  forbidEntropy();
  let settled = null;
  const loading = wrapping.map((name) =>
    import(modules.WRAPPER + name).then((namespace) => wrappers.set(name, namespace)),
  );
  Promise.all([import(`/${main}`), ...loading]).then(
    ([namespace]) => (settled = { namespace }),
    (error) => (settled = { error }),
  );
  drain();
  const entropy = allowEntropy();
  forgetNumbers();
  modules.forgetTaken();
  let answer;
  try {
    if (entropy) answer = failure("entropy", new Error("random numbers at the top level"));
    else if (settled === null) throw new Error("the worker's top level waits for something that never comes");
    else if ("error" in settled) throw settled.error;
    else {
      exported(settled.namespace);
      modules.makeWhatIsNamed();
      answer = ["ok", described(entrypoints), described(objects), takeLogs()];
    }
  } catch (error) {
    answer = failure("raised", modules.explained(error));
  }
  return JSON.stringify([[], answer]);
}

function failure(kind, error) {
  const { name, message, trace } = wordsOf(error);
  const [file, line] = placeOf(error);
  return [kind, name, message, trace, file, line, takeLogs()];
}

// The program's file and line that an error comes from, as far as they are known.
function placeOf(error) {
  try {
    if (!(error instanceof Error)) return [null, null];
    const place = PLACE.exec(stackOf(error));
    if (place !== null) return [place[1], Number(place[2])];
    return [typeof error.file === "string" ? error.file : null, null];
  } catch {
    return [null, null];
  }
}

