// What a program finds on `globalThis`: the web platform, and what only a worker has.

import { randomNumber, required } from "pyworkerd:system/host";
import { install as installWeb } from "pyworkerd:web/globals";
import { WebSocketRequestResponsePair } from "pyworkerd:workers/auto_response";
import { Cache, CacheStorage, caches } from "pyworkerd:workers/caches";
import { fetch } from "pyworkerd:workers/fetcher";
import { ExtendableEvent, FetchEvent, listening, QueueEvent, ScheduledEvent } from "pyworkerd:workers/script";
import { WebSocket, WebSocketPair } from "pyworkerd:workers/websocket";

export function install(target) {
  installWeb(target);
  define(target, { fetch, Cache, CacheStorage, caches, WebSocket, WebSocketPair, WebSocketRequestResponsePair });
  define(target, { ...listening, ExtendableEvent, FetchEvent, QueueEvent, ScheduledEvent });
  define(target, { global: target });
  for (const [name, [module, exported]] of Object.entries(LATER)) defineLater(target, name, module, exported);
  define(Math, { random });
  delete target.SharedArrayBuffer; // there is one thread, and Workers have none either
}

function define(target, values) {
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });
  }
}

// What most workers do not ask for: the module that makes it when one does, and its export.
const LATER = {
  Buffer: ["node/buffer", "Buffer"],
  D1Database: ["workers/by_name", "D1Database"],
  HTMLRewriter: ["web/html/rewriter", "HTMLRewriter"],
  ServiceBinding: ["workers/by_name", "ServiceBinding"],
  clearImmediate: ["node/timers", "clearImmediate"],
  process: ["node/process", "default"],
  setImmediate: ["node/timers", "setImmediate"],
};

function defineLater(target, name, module, exported) {
  Object.defineProperty(target, name, {
    get() {
      const value = required(`pyworkerd:${module}`)[exported];
      define(target, { [name]: value });
      return value;
    },
    set(value) { define(target, { [name]: value }); },
    enumerable: false,
    configurable: true,
  });
}

function random() {
  return randomNumber();
}
