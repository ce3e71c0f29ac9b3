// `ctx` of a Durable Object: who it is, and what it may do about itself.

import { here } from "pyworkerd:objects/object";
import { ObjectSockets } from "pyworkerd:objects/sockets";
import { makeStorage } from "pyworkerd:objects/storage";
import { reportUnheard } from "pyworkerd:system/logs";
import { needed } from "pyworkerd:system/loop";
import { expose, illegalConstructor } from "pyworkerd:web/idl";

const MAKING = Symbol("made here");

export class DurableObjectState {
  #sockets = new ObjectSockets();

  constructor(making, id, database) {
    if (making !== MAKING) throw illegalConstructor();
    const storage = makeStorage(database);
    Object.defineProperties(this, {
      id: { value: id, enumerable: true },
      storage: { value: storage, enumerable: true },
      props: { value: {}, enumerable: true, writable: true },
    });
  }

  // Accepted, as in a worker: the call is not over before the promise is settled.
  waitUntil(promise) {
    const invocation = needed();
    invocation.waitUntil(promise, (error) => reportUnheard(invocation, "a waitUntil() task failed", error));
  }

  // Run an async function while the object takes no other event; a promise of its result. If it fails, or takes longer
  // than 30 s, the object is reset: the next call makes it anew.
  blockConcurrencyWhile(callback) {
    if (typeof callback !== "function") throw new TypeError("blockConcurrencyWhile() takes a function");
    return here().block(callback);
  }

  // End this object now; the next call makes it anew.
  abort(reason = "Application called abort() to reset Durable Object.") {
    here().abort(reason);
    throw new Error(`${reason}`);
  }

  // Accept a WebSocket for the object: its events are calls of `webSocketMessage(socket, message)`,
  // `webSocketClose(socket, code, reason, wasClean)` and `webSocketError(socket, error)`.
  acceptWebSocket(socket, tags = undefined) {
    this.#sockets.accept(socket, tags);
  }

  // Those that were accepted like that and are open; those with a tag.
  getWebSockets(tag = undefined) {
    return this.#sockets.all(tag);
  }

  getTags(socket) {
    return this.#sockets.tags(socket);
  }

  // Answer one message always the same, without a handler; without a pair no more.
  setWebSocketAutoResponse(pair = undefined) {
    this.#sockets.setPair(pair);
  }

  getWebSocketAutoResponse() {
    return this.#sockets.pair;
  }

  getWebSocketAutoResponseTimestamp(socket) {
    return this.#sockets.answered(socket);
  }

  // A handler ends at `cpu_ms` and `wall_ms`, like everything else.
  setHibernatableWebSocketEventTimeout() {}

  getHibernatableWebSocketEventTimeout() {
    return null;
  }
}
expose(DurableObjectState);

export function makeState(id, database) {
  return new DurableObjectState(MAKING, id, database);
}
