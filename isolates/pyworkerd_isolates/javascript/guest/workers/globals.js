// What a program finds on `globalThis`: the web platform, and what only a worker has.

import { randomNumber } from "pyworkerd:system/host";
import { install as installWeb } from "pyworkerd:web/globals";
import { Cache, CacheStorage, caches } from "pyworkerd:workers/caches";
import { fetch } from "pyworkerd:workers/fetcher";
import { ExtendableEvent, FetchEvent, listening, QueueEvent, ScheduledEvent } from "pyworkerd:workers/script";
import { WebSocket, WebSocketPair } from "pyworkerd:workers/websocket";

export function install(target) {
  installWeb(target);
  define(target, { fetch, Cache, CacheStorage, caches, WebSocket, WebSocketPair });
  define(target, { ...listening, ExtendableEvent, FetchEvent, QueueEvent, ScheduledEvent });
  define(Math, { random });
  delete target.SharedArrayBuffer; // there is one thread, and Workers have none either
}

function define(target, values) {
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });
  }
}

function random() {
  return randomNumber();
}
