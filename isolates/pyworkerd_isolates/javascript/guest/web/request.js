// Request (https://fetch.spec.whatwg.org/#request-class), as Workers have it.

import { AbortSignal, makeSignal, signalOf } from "pyworkerd:web/abort";
import { Body, bodyType, extractBody, mixInBody } from "pyworkerd:web/body";
import { Headers, copyOf } from "pyworkerd:web/headers";
import { dictionary, expose, inherit, requireArguments } from "pyworkerd:web/idl";
import { HeaderState } from "pyworkerd:web/message";
import { TransformStream } from "pyworkerd:web/transform";
import { parseURL } from "pyworkerd:web/url";
import { serialize } from "pyworkerd:web/url_parser";

const { isArray } = Array;
const { parse } = JSON;
const WHERE = "Request constructor";
const MAKING = Symbol("a request is made here");
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const NORMALIZED = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH"]);
const FORBIDDEN = new Set(["CONNECT", "TRACE", "TRACK"]);
const SIMPLE = new Set(["GET", "HEAD", "POST"]);
const REDIRECTS = new Set(["follow", "manual"]);
const CACHES = new Set(["default", "no-store", "no-cache", "reload"]);

// What most requests have; the others have an object of their own.
const USUAL = {
  cf: undefined, integrity: "", keepalive: false, cache: "default", fetcher: null, mode: "cors",
  credentials: "same-origin", referrer: "about:client", referrerPolicy: "",
};

// Options that mean something to a browser: they are looked at and kept, and nothing else follows from them.
const CHOICES = {
  mode: new Set(["cors", "no-cors", "same-origin"]),
  credentials: new Set(["omit", "same-origin", "include"]),
  referrerPolicy: new Set([
    "", "no-referrer", "no-referrer-when-downgrade", "same-origin", "origin", "strict-origin",
    "origin-when-cross-origin", "strict-origin-when-cross-origin", "unsafe-url",
  ]),
  priority: new Set(["high", "low", "auto"]),
  duplex: new Set(["half"]),
};

function chosen(name, value) {
  const text = `${value}`;
  if (!CHOICES[name].has(text)) throw new TypeError(`${WHERE}: \`${name}\` cannot be ${JSON.stringify(text)}.`);
  return text;
}

function referrerOf(value) {
  const text = `${value}`;
  if (text === "") return "";
  const record = parseURL(text);
  if (record === null) throw new TypeError(`${WHERE}: \`referrer\` is no URL: ${text}`);
  return serialize(record);
}

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
    this.#state = isRequest(input) ? fromRequest(stateOf(input), init) : fromURL(input, init);
  }

  static {
    stateOf = (request) => {
      const state = request.#state;
      if (!isArray(state)) return state;
      const pairs = typeof state[2] === "string" ? parse(state[2]) : state[2];
      const headers = new HeaderState(null, pairs, null, true);
      return (request.#state = new State(state[0], state[1], headers, null, "manual", null, USUAL));
    };
    isRequest = (value) => typeof value === "object" && value !== null && #state in value;
  }

  get method() { return stateOf(this).method; }
  get url() { return stateOf(this).url; }
  get headers() { return stateOf(this).headers.get(); }
  get redirect() { return stateOf(this).redirect; }
  get signal() {
    const state = stateOf(this);
    return (state.signal ??= state.given === null ? makeSignal() : AbortSignal.any([state.given]));
  }
  get cf() { return stateOf(this).rest.cf; }
  get integrity() { return stateOf(this).rest.integrity; }
  get keepalive() { return stateOf(this).rest.keepalive; }
  get cache() { return stateOf(this).rest.cache; }
  get fetcher() { return stateOf(this).rest.fetcher; }
  get mode() { return stateOf(this).rest.mode; }
  get credentials() { return stateOf(this).rest.credentials; }
  get referrer() { return stateOf(this).rest.referrer; }
  get referrerPolicy() { return stateOf(this).rest.referrerPolicy; }
  get destination() { return (stateOf(this), ""); }
  get isReloadNavigation() { return (stateOf(this), false); }
  get isHistoryNavigation() { return (stateOf(this), false); }
  get duplex() { return (stateOf(this), "half"); }

  clone() {
    const { method, url, headers, body, redirect, given, signal, rest } = stateOf(this);
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
  if (record.username !== "" || record.password !== "") {
    throw new TypeError(`${WHERE}: a URL has a name or a password: send them as the header Authorization.`);
  }
  const url = serialize(record);
  if (init === undefined) {
    return new State("GET", url, new HeaderState(null, null, null, false), null, "follow", null, USUAL);
  }
  return withInit(new State("GET", url, null, null, "follow", null, USUAL), init);
}

function fromRequest(other, init) {
  const { method, url, headers, body, redirect, given, signal, rest } = other;
  const state = new State(method, url, null, null, redirect, signal ?? given, rest);
  if (init === undefined || init === null) {
    state.headers = new HeaderState(copyOf(headers.get()), null, null, false);
    if (body !== null) state.body = moved(body);
    return state;
  }
  const inherited = dictionary(init, WHERE).headers === undefined ? copyOf(headers.get()) : null;
  return withInit(state, init, inherited, body);
}

// The content goes over to another request: this one is used up.
function moved(body) {
  const { text, bytes, source, stream, length, shared } = body.take();
  const other = new Body(text, bytes, source, stream === null ? null : movedStream(stream), length);
  other.shared = shared;
  return other;
}

// The same content as another stream: the first one is locked and disturbed from then on.
function movedStream(stream) {
  const { readable, writable } = new TransformStream();
  stream.pipeTo(writable).catch(() => {});
  return readable;
}

function withInit(state, init, inherited = null, others = null) {
  const given = dictionary(init, WHERE);
  const { method, headers, body, redirect, signal, cf, integrity, keepalive, cache, fetcher, window } = given;
  const { mode, credentials, referrer, referrerPolicy, priority, duplex } = given;
  if (window !== undefined && window !== null) throw new TypeError(`${WHERE}: \`window\` can be nothing but null.`);
  if (method !== undefined) state.method = methodOf(method);
  if (redirect !== undefined) {
    state.redirect = `${redirect}`;
    if (!REDIRECTS.has(state.redirect)) {
      throw new TypeError(`Invalid redirect value, must be one of "follow" or "manual", not "${redirect}".`);
    }
  }
  if (cache !== undefined && !CACHES.has(cache)) throw new TypeError(`Unsupported cache mode: ${cache}`);
  if (priority !== undefined) chosen("priority", priority);
  if (duplex !== undefined) chosen("duplex", duplex);
  const isRare =
    mode !== undefined || credentials !== undefined || referrer !== undefined || referrerPolicy !== undefined;
  if (signal !== undefined) state.given = signalOf(given, WHERE);
  if (isRare || cf !== undefined || integrity || keepalive || cache !== undefined || fetcher) {
    const { rest } = state;
    state.rest = {
      cf: cf ?? rest.cf,
      integrity: integrity === undefined ? rest.integrity : `${integrity}`,
      keepalive: Boolean(keepalive),
      cache: cache ?? rest.cache,
      fetcher: fetcher ?? null,
      mode: mode === undefined ? rest.mode : chosen("mode", mode),
      credentials: credentials === undefined ? rest.credentials : chosen("credentials", credentials),
      referrer: referrer === undefined ? rest.referrer : referrerOf(referrer),
      referrerPolicy: referrerPolicy === undefined ? rest.referrerPolicy : chosen("referrerPolicy", referrerPolicy),
    };
    if (state.rest.mode === "no-cors" && !SIMPLE.has(state.method)) {
      throw new TypeError(`${WHERE}: the method is not one of the mode "no-cors".`);
    }
  }
  const made = headers === undefined ? inherited : new Headers(headers);
  const isNew = body !== undefined && body !== null;
  if ((isNew || others !== null) && (state.method === "GET" || state.method === "HEAD")) {
    throw new TypeError("Request with a GET or HEAD method cannot have a body.");
  }
  // The body comes last: what is refused has used up nothing.
  let type = null;
  if (isNew) {
    state.body = extractBody(body);
    type = bodyType;
  } else if (others !== null) {
    state.body = moved(others);
  }
  state.headers = new HeaderState(made, null, type, false);
  return state;
}

function methodOf(value) {
  const method = `${value}`;
  if (!TOKEN.test(method)) throw new TypeError(`Invalid HTTP method string: ${method}`);
  const upper = method.toUpperCase();
  if (FORBIDDEN.has(upper)) throw new TypeError(`HTTP method ${upper} is not supported.`);
  return NORMALIZED.has(upper) ? upper : method;
}

/** A request of the host's without a body, of its method, its URL, and its headers as pairs or as a text of JSON: the
 *  rest is made of these when somebody asks (`stateOf`). */
export const plainRequest = (said) => new Request(MAKING, said);

/** A request of the host's: a URL that is one, `pairs` of headers with names in lower case, a Body or null. */
export function makeRequest(method, url, pairs, body, cf = undefined) {
  if (body === null && cf === undefined) return plainRequest([method, url, pairs]);
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
