// The Cache API: `caches.default`, and `await caches.open(name)`.

import { CallError } from "pyworkerd:system/calls";
import { meta } from "pyworkerd:system/environment";
import { pairsOf } from "pyworkerd:web/headers";
import { expose, illegalConstructor } from "pyworkerd:web/idl";
import { isRequest, Request } from "pyworkerd:web/request";
import { makeResponse, Response, takeResponse } from "pyworkerd:web/response";
import { Capability } from "pyworkerd:workers/capability";
import { given } from "pyworkerd:workers/http";
import { asciiJson } from "pyworkerd:workers/json";

const FIELD = "x-pyworkerd-cache";
// First header field of a request to the host's half, and of its answers.
const MAKING = Symbol("a cache is made here");

// The host's half: by an index of the worker's own table, as every capability.
function host() {
  if (meta.cache === undefined || meta.cache === null) {
    throw new CallError("this worker has no caches (limits.cache_mb)", "access_denied");
  }
  return new Capability(meta.cache);
}

const asked = (request) => (isRequest(request) ? request : new Request(request));

// Answers by the request that they are for. Each worker has its own.
export class Cache {
  #name;

  constructor(making, name) {
    if (making !== MAKING) throw illegalConstructor();
    this.#name = name;
  }

  // The answer to this request or URL; undefined if there is none that is fresh.
  async match(request, options = undefined) {
    const { method, url, headers } = asked(request);
    if (method !== "GET" && !options?.ignoreMethod) return undefined;
    const pairs = pairsOf(headers);
    const sent = [this.#head("GET", 0, pairs), ...pairs];
    const answer = await Capability.fetch(host(), "GET", url, sent);
    const [[field, found], ...rest] = answer.headers;
    if (field !== FIELD || found !== "hit") return undefined;
    return makeResponse(answer.status, "", rest, given(answer.body), answer.url);
  }

  // Keep this answer to a GET request. What its headers do not allow to keep is not kept, without a word.
  async put(request, response) {
    const { method, url, headers } = asked(request);
    if (!(response instanceof Response)) throw new TypeError("the second argument of put() is a Response");
    if (response.webSocket !== null) throw new TypeError("Cannot cache WebSocket upgrade response.");
    const capability = host();
    const pairs = pairsOf(headers);
    const answer = takeResponse(response);
    const sent = [this.#head(method, answer.status, pairs), ...pairs, ...answer.pairs];
    await Capability.fetch(capability, "PUT", url, sent, answer.body);
  }

  // Forget all answers to this request's URL. Whether there were any.
  async delete(request, options = undefined) {
    const { method, url } = asked(request);
    if (method !== "GET" && !options?.ignoreMethod) return false;
    return Capability.call(host(), "delete", this.#name, url);
  }

  #head(method, status, pairs) {
    return [FIELD, asciiJson([this.#name, method, status, pairs.length])];
  }
}
expose(Cache);

export class CacheStorage {
  #default = new Cache(MAKING, null);

  constructor(making) {
    if (making !== MAKING) throw illegalConstructor();
  }

  get default() { return this.#default; }

  // The cache of this name; there is nothing to create.
  async open(name) {
    return new Cache(MAKING, `${name}`);
  }
}
expose(CacheStorage);

export const caches = new CacheStorage(MAKING);
