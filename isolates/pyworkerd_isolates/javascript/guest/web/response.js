// Response (https://fetch.spec.whatwg.org/#response-class), as Workers have it.

import { bodyType, extractBody, mixInBody } from "pyworkerd:web/body";
import { Headers, copyOf } from "pyworkerd:web/headers";
import { dictionary, expose, inherit, requireArguments } from "pyworkerd:web/idl";
import { HeaderState } from "pyworkerd:web/message";
import { parseURL } from "pyworkerd:web/url";
import { serialize } from "pyworkerd:web/url_parser";

const WHERE = "Response constructor";
const MAKING = Symbol("a response is made here");
const NO_BODY = new Set([101, 204, 205, 304]);
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const PHRASE = /^[\t\x20-\x7e\x80-\xff]*$/;

// What most responses have; the others have an object of their own.
const USUAL = { type: "default", url: "", redirected: false, webSocket: null, cf: undefined, encodeBody: "automatic" };

let stateOf, textOfPlain;

class State {
  constructor(status, statusText, headers, body, rest) {
    this.status = status;
    this.headers = headers;
    if (statusText !== "") this.statusText = statusText;
    if (body !== null) this.body = body;
    if (rest !== USUAL) this.rest = rest;
  }
}
inherit(State, { statusText: "", body: null, rest: USUAL });

export class Response {
  #state;

  constructor(body = null, init = undefined) {
    if (body === MAKING) {
      this.#state = init;
      return;
    }
    if (init === undefined) {
      // A text alone is the state: most are sent without being looked at.
      this.#state = typeof body === "string" ? body : stateWith(extractBody(body), bodyType);
      return;
    }
    this.#state = makeState(body, init, null);
  }

  static {
    stateOf = (response) => {
      const state = response.#state;
      if (typeof state === "object") return state;
      const content = extractBody(state === SENT ? "" : state);
      if (state === SENT) content.used = true;
      return (response.#state = stateWith(content, bodyType));
    };
    textOfPlain = (response, most) => {
      if (typeof response !== "object" || response === null || !(#state in response)) return undefined;
      const state = response.#state;
      if (typeof state !== "string" || state.length > most) return undefined;
      response.#state = SENT;
      return state;
    };
  }

  static error() {
    const headers = new HeaderState(null, [], null, true);
    return new Response(MAKING, new State(0, "", headers, null, { ...USUAL, type: "error" }));
  }

  static json(data, init = undefined) {
    if (data === undefined) requireArguments(arguments.length, 1, "'json' on 'Response'");
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError("Response.json: the value cannot be written as JSON.");
    if (init === undefined) {
      return new Response(MAKING, stateWith(extractBody(text), JSON_TYPE));
    }
    return new Response(MAKING, makeState(text, init, JSON_TYPE));
  }

  static redirect(url, status = 302) {
    requireArguments(arguments.length, 1, "'redirect' on 'Response'");
    const record = parseURL(url);
    if (record === null) throw new TypeError(`Unable to parse URL: ${url}`);
    const code = Math.trunc(Number(status));
    if (!REDIRECTS.has(code)) throw new RangeError(`${status} is not a redirect status code.`);
    const headers = new HeaderState(null, [["location", serialize(record)]], null, true);
    return new Response(MAKING, new State(code, "", headers, null, USUAL));
  }

  get type() { return stateOf(this).rest.type; }
  get url() { return stateOf(this).rest.url; }
  get redirected() { return stateOf(this).rest.redirected; }
  get status() { return stateOf(this).status; }
  get ok() { return stateOf(this).status >= 200 && stateOf(this).status <= 299; }
  get statusText() { return stateOf(this).statusText; }
  get headers() { return stateOf(this).headers.get(); }
  get webSocket() { return stateOf(this).rest.webSocket; }
  get cf() { return stateOf(this).rest.cf; }
  get encodeBody() { return stateOf(this).rest.encodeBody; }

  clone() {
    const { status, statusText, headers, body, rest } = stateOf(this);
    if (rest.webSocket !== null) throw new TypeError("Cannot clone a response to a WebSocket handshake.");
    const copy = body?.clone() ?? null;
    const others = new HeaderState(copyOf(headers.get()), null, null, false);
    return new Response(MAKING, new State(status, statusText, others, copy, rest));
  }
}
Object.defineProperty(Response, "length", { value: 0, configurable: true });
mixInBody(Response, (self) => stateOf(self).body, (self) => stateOf(self).headers.contentType());
expose(Response);

/** The text that a response was made of, if that is all that it was made of, nobody has looked at it since, and it has
 *  no more than so many characters; else undefined. Its body is used then, as by `takeResponse`. */
export { textOfPlain };

const SENT = Symbol("the text has been taken");

function stateWith(content, type) {
  return new State(200, "", new HeaderState(null, null, type, false), content, USUAL);
}

const JSON_TYPE = "application/json";

function makeState(body, init, givenType) {
  const given = dictionary(init, WHERE);
  const { status = 200, statusText = "", headers, webSocket = null, cf, encodeBody = "automatic" } = given;
  const code = Math.trunc(Number(status));
  if (!(code >= 200 && code <= 599) && !(code === 101 && webSocket !== null)) {
    throw new RangeError(`Responses may only be constructed with status codes in the range 200 to 599, not ${status}.`);
  }
  if (webSocket !== null && code !== 101) {
    throw new RangeError("Responses with a WebSocket must have status code 101.");
  }
  const text = `${statusText}`;
  if (!PHRASE.test(text)) throw new TypeError(`${WHERE}: the status text has characters that it must not have.`);
  if (encodeBody !== "automatic" && encodeBody !== "manual") {
    throw new TypeError(`${WHERE}: \`encodeBody\` must be "automatic" or "manual".`);
  }
  const content = extractBody(body);
  const type = bodyType;
  if (content !== null && NO_BODY.has(code)) {
    throw new TypeError("Response with null body status (101, 204, 205, or 304) cannot have a body.");
  }
  const made = headers === undefined ? null : new Headers(headers);
  const plain = webSocket === null && cf === undefined && encodeBody === "automatic";
  const rest = plain ? USUAL : { ...USUAL, webSocket, cf, encodeBody };
  return new State(code, text, new HeaderState(made, null, givenType ?? type, false), content, rest);
}

/** A response of the host's: `pairs` of headers with names in lower case, a Body or null, the URL that it came from. */
export function makeResponse(status, statusText, pairs, body, url = "", redirected = false, webSocket = null) {
  const headers = new HeaderState(null, pairs, null, true);
  return new Response(MAKING, new State(status, statusText, headers, body, { ...USUAL, url, redirected, webSocket }));
}

/** What the host sends: { status, pairs, body, rest }. The body, a Body or null, is claimed for it. */
export function takeResponse(response) {
  const { status, headers, body, rest } = stateOf(response);
  if (status === 0) throw new TypeError("Response.error() says that there is no response: it cannot be sent");
  return { status, pairs: headers.list(), body: body?.take() ?? null, rest };
}

export const hasBody = (response) => stateOf(response).body !== null;

/** The same response with another body, whose length is not known: `make` gives it, for the first one, claimed. */
export function withBody(response, make) {
  const { status, statusText, headers, body, rest } = stateOf(response);
  const pairs = headers.list().filter(([name]) => name !== "content-length");
  const made = new HeaderState(null, pairs, null, false);
  return new Response(MAKING, new State(status, statusText, made, make(body.take()), rest));
}

/** Says of a response that was made here where it came from; it is the same response. */
export function cameFrom(response, url, redirected) {
  const state = stateOf(response);
  state.rest = { ...state.rest, url, redirected };
  return response;
}
