// WebSockets that a Durable Object accepts for itself: their events are calls of its own handlers.

import { here } from "pyworkerd:objects/object";
import { now, utf8 } from "pyworkerd:system/host";
import { WebSocketRequestResponsePair } from "pyworkerd:workers/auto_response";
import { WebSocket } from "pyworkerd:workers/websocket";

const MAX_TAGS = 10;
const MAX_TAG = 256;
const MAX_AUTO_RESPONSE = 2048;
// Workers: tags of one WebSocket, characters of a tag, bytes of a request or a response that is given by itself.

export class ObjectSockets {
  pair = null;
  #tags = new Map();
  #answered = new Map();

  // Take it over.
  accept(socket, tags = []) {
    if (!(socket instanceof WebSocket)) throw new TypeError("acceptWebSocket() takes a WebSocket");
    const own = [...new Set(tags)];
    if (own.length > MAX_TAGS) throw new Error(`a Hibernatable WebSocket cannot have more than ${MAX_TAGS} tags`);
    for (const tag of own) {
      if (typeof tag !== "string" || tag.length > MAX_TAG) {
        throw new Error(`"${tag}" is not a tag: it is a string of at most ${MAX_TAG} characters`);
      }
    }
    if (this.#tags.has(socket)) throw new Error("acceptWebSocket() was called with this WebSocket before");
    socket.accept();
    this.#tags.set(socket, own);
    socket.addEventListener("message", (event) => this.#message(event));
    socket.addEventListener("error", (event) => call("webSocketError", socket, event.error));
    socket.addEventListener("close", (event) => this.#close(event));
  }

  // Those that are open, or those with a tag.
  all(tag = undefined) {
    const found = [...this.#tags].filter(([, tags]) => tag === undefined || tags.includes(tag));
    return found.map(([socket]) => socket);
  }

  tags(socket) {
    const tags = this.#tags.get(socket);
    if (tags === undefined) throw new Error("this WebSocket was not accepted by acceptWebSocket(), or is closed");
    return [...tags];
  }

  setPair(pair = undefined) {
    if (pair !== undefined && pair !== null) {
      if (!(pair instanceof WebSocketRequestResponsePair)) {
        throw new TypeError("setWebSocketAutoResponse() takes a WebSocketRequestResponsePair");
      }
      for (const [name, text] of [["Request", pair.request], ["Response", pair.response]]) {
        const { length } = utf8(text);
        if (length > MAX_AUTO_RESPONSE) {
          const given = `A ${name.toLowerCase()} of size ${length} was provided.`;
          throw new RangeError(`${name} cannot be larger than ${MAX_AUTO_RESPONSE} bytes. ${given}`);
        }
      }
    }
    this.pair = pair ?? null;
  }

  // When it was answered by itself the last time; null if never.
  answered(socket) {
    return this.#answered.get(socket) ?? null;
  }

  async #message({ target, data }) {
    if (this.pair !== null && data === this.pair.request) {
      target.send(this.pair.response);
      this.#answered.set(target, new Date(now()));
      return;
    }
    await call("webSocketMessage", target, data);
  }

  async #close({ target, code, reason, wasClean }) {
    this.#tags.delete(target);
    this.#answered.delete(target);
    await call("webSocketClose", target, code, reason, wasClean);
  }
}

async function call(name, ...about) {
  const object = here();
  await object.admitted();
  const { instance } = object;
  if (typeof instance?.[name] === "function") await instance[name](...about);
}
