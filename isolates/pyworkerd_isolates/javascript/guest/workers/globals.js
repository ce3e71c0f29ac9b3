// What a program finds on `globalThis`: the web platform, and what only a worker has.

import { randomNumber, required } from "pyworkerd:system/host";
import { install as installWeb } from "pyworkerd:web/globals";
import { Cache, CacheStorage, caches } from "pyworkerd:workers/caches";
import { fetch } from "pyworkerd:workers/fetcher";
import { ExtendableEvent, FetchEvent, listening, QueueEvent, ScheduledEvent } from "pyworkerd:workers/script";
import { WebSocket, WebSocketPair } from "pyworkerd:workers/websocket";

export function install(target) {
  installWeb(target);
  define(target, { fetch, Cache, CacheStorage, caches, WebSocket, WebSocketPair });
  define(target, { ...listening, ExtendableEvent, FetchEvent, QueueEvent, ScheduledEvent });
  define(target, { global: target });
  for (const [name, module] of Object.entries(OF_NODE)) defineLater(target, name, module);
  define(Math, { random });
  delete target.SharedArrayBuffer; // there is one thread, and Workers have none either
}

function define(target, values) {
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });
  }
}

// What Node.js has as globals, by the module that they are of. Most workers ask for none of it.
const OF_NODE = { Buffer: "buffer", process: "process", setImmediate: "timers", clearImmediate: "timers" };

function defineLater(target, name, module) {
  Object.defineProperty(target, name, {
    get() {
      const { default: exported } = required(`pyworkerd:node/${module}`);
      const value = name === "process" ? exported : exported[name];
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
