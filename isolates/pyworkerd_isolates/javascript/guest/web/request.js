// Request (https://fetch.spec.whatwg.org/#request-class), as Workers have it.

import { AbortSignal, makeSignal, signalOf } from "pyworkerd:web/abort";
import { Body, bodyType, extractBody, mixInBody } from "pyworkerd:web/body";
import { Headers, copyOf } from "pyworkerd:web/headers";
import { dictionary, expose, inherit, requireArguments } from "pyworkerd:web/idl";
import { HeaderState } from "pyworkerd:web/message";
import { TransformStream } from "pyworkerd:web/transform";
import { parseURL } from "pyworkerd:web/url";
import { serialize } from "pyworkerd:web/url_parser";

const WHERE = "Request constructor";
const MAKING = Symbol("a request is made here");
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const NORMALIZED = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH"]);
const FORBIDDEN = new Set(["CONNECT", "TRACE", "TRACK"]);
const REDIRECTS = new Set(["follow", "manual"]);
const CACHES = new Set(["no-store", "no-cache", "reload"]);

// What most requests have; the others have an object of their own.
const USUAL = { cf: undefined, integrity: "", keepalive: false, cache: undefined, fetcher: null };

let stateOf, isRequest;

class State {
  constructor(method, url, headers, body, redirect, signal, rest) {
    this.method = method;
    this.url = url;
    this.headers = headers;
    this.redirect = redirect;
    if (body !== null) this.body = body;
    if (signal !== null) this.given = signal; // the signal that it follows
    if (rest !== USUAL) this.rest = rest;
  }
}
inherit(State, { body: null, given: null, signal: null, rest: USUAL });

export class Request {
  #state;

  constructor(input, init = undefined) {
    if (input === MAKING) {
      this.#state = init;
      return;
    }
    if (input === undefined) requireArguments(arguments.length, 1, WHERE);
    this.#state = isRequest(input) ? fromRequest(input.#state, init) : fromURL(input, init);
  }

  static {
    stateOf = (request) => request.#state;
    isRequest = (value) => typeof value === "object" && value !== null && #state in value;
  }

  get method() { return this.#state.method; }
  get url() { return this.#state.url; }
  get headers() { return this.#state.headers.get(); }
  get redirect() { return this.#state.redirect; }
  get signal() {
    const state = this.#state;
    return (state.signal ??= state.given === null ? makeSignal() : AbortSignal.any([state.given]));
  }
  get cf() { return this.#state.rest.cf; }
  get integrity() { return this.#state.rest.integrity; }
  get keepalive() { return this.#state.rest.keepalive; }
  get cache() { return this.#state.rest.cache; }
  get fetcher() { return this.#state.rest.fetcher; }
  get duplex() { return (this.#state, "half"); }

  clone() {
    const { method, url, headers, body, redirect, given, signal, rest } = this.#state;
    const copy = body?.clone() ?? null;
    const others = new HeaderState(copyOf(headers.get()), null, null, false);
    return new Request(MAKING, new State(method, url, others, copy, redirect, signal ?? given, rest));
  }
}
mixInBody(Request, (self) => stateOf(self).body, (self) => stateOf(self).headers.contentType());
expose(Request);

function fromURL(input, init) {
  const record = parseURL(input);
  if (record === null) throw new TypeError(`Invalid URL: ${input}`);
  const url = serialize(record);
  if (init === undefined) {
    return new State("GET", url, new HeaderState(null, null, null, false), null, "follow", null, USUAL);
  }
  return withInit(new State("GET", url, null, null, "follow", null, USUAL), init);
}

function fromRequest(other, init) {
  const { method, url, headers, body, redirect, given, signal, rest } = other;
  const state = new State(method, url, null, null, redirect, signal ?? given, rest);
  const replaced = init !== undefined && init !== null && init.body !== undefined && init.body !== null;
  if (body !== null && !replaced) {
    // The content goes over: the other request is used up.
    const { text, bytes, source, stream, length, shared } = body.take();
    state.body = new Body(text, bytes, source, stream === null ? null : movedStream(stream), length);
    state.body.shared = shared;
  }
  if (init === undefined || init === null) {
    state.headers = new HeaderState(copyOf(headers.get()), null, null, false);
    return state;
  }
  const inherited = dictionary(init, WHERE).headers === undefined ? copyOf(headers.get()) : null;
  return withInit(state, init, inherited);
}

// The same content as another stream: the first one is locked and disturbed from then on.
function movedStream(stream) {
  const { readable, writable } = new TransformStream();
  stream.pipeTo(writable).catch(() => {});
  return readable;
}

function withInit(state, init, inherited = null) {
  const given = dictionary(init, WHERE);
  const { method, headers, body, redirect, signal, cf, integrity, keepalive, cache, fetcher } = given;
  if (method !== undefined) state.method = methodOf(method);
  if (redirect !== undefined) {
    state.redirect = `${redirect}`;
    if (!REDIRECTS.has(state.redirect)) {
      throw new TypeError(`Invalid redirect value, must be one of "follow" or "manual", not "${redirect}".`);
    }
  }
  if (cache !== undefined && !CACHES.has(cache)) throw new TypeError(`Unsupported cache mode: ${cache}`);
  if (signal !== undefined) state.given = signalOf(given, WHERE);
  let type = null;
  if (body !== undefined && body !== null) {
    if (state.method === "GET" || state.method === "HEAD") {
      throw new TypeError("Request with a GET or HEAD method cannot have a body.");
    }
    state.body = extractBody(body);
    type = bodyType;
  } else if (state.body !== null && (state.method === "GET" || state.method === "HEAD")) {
    throw new TypeError("Request with a GET or HEAD method cannot have a body.");
  }
  const made = headers === undefined ? inherited : new Headers(headers);
  state.headers = new HeaderState(made, null, type, false);
  if (cf !== undefined || integrity || keepalive || cache !== undefined || fetcher) {
    state.rest = {
      cf: cf ?? state.rest.cf,
      integrity: integrity === undefined ? state.rest.integrity : `${integrity}`,
      keepalive: Boolean(keepalive),
      cache: cache ?? state.rest.cache,
      fetcher: fetcher ?? null,
    };
  }
  return state;
}

function methodOf(value) {
  const method = `${value}`;
  if (!TOKEN.test(method)) throw new TypeError(`Invalid HTTP method string: ${method}`);
  const upper = method.toUpperCase();
  if (FORBIDDEN.has(upper)) throw new TypeError(`HTTP method ${upper} is not supported.`);
  return NORMALIZED.has(upper) ? upper : method;
}

/** A request of the host's: a URL that is one, `pairs` of headers with names in lower case, a Body or null. */
export function makeRequest(method, url, pairs, body, cf = undefined) {
  const rest = cf === undefined ? USUAL : { ...USUAL, cf };
  const headers = new HeaderState(null, pairs, null, true);
  return new Request(MAKING, new State(method, url, headers, body, "manual", null, rest));
}

/** What the host sends: { method, url, pairs, body, redirect, signal, rest }. The body, a Body or null, is claimed for
 *  it; `signal` is the AbortSignal that the request follows, or null. */
export function takeRequest(request) {
  const { method, url, headers, body, redirect, given, signal, rest } = stateOf(request);
  return { method, url, pairs: headers.list(), body: body?.take() ?? null, redirect, signal: signal ?? given, rest };
}

export { isRequest };
