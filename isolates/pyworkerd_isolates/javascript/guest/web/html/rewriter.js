// HTMLRewriter, as Workers have it: https://developers.cloudflare.com/workers/runtime-apis/html-rewriter/. This module
// is evaluated where a program asks for it, at deploy if its source has the name (`system/worker.js`).

import { bodyOfSource } from "pyworkerd:web/body";
import { TextDecoder } from "pyworkerd:web/encoding";
import { charsetOf, fromBytes, toBytes } from "pyworkerd:web/html/charset";
import { HtmlDocument } from "pyworkerd:web/html/document";
import { parseSelectors } from "pyworkerd:web/html/selectors";
import { written } from "pyworkerd:web/html/tokens";
import { dictionary, expose, methodOf, requireArguments } from "pyworkerd:web/idl";
import { Response, hasBody, withBody } from "pyworkerd:web/response";
import { encode } from "pyworkerd:web/utf8";
import { inContext } from "pyworkerd:system";

const PIECE = 65536;
const CHARSET = /;[\t ]*charset=(?:"([^"]*)"|([^\t ;"]*))/i;

export class HTMLRewriter {
  #registrations = [];
  #handlers = { doctype: [], comments: [], text: [], end: [] };

  on(selector, handlers) {
    requireArguments(arguments.length, 2, "'on' on 'HTMLRewriter'");
    const selectors = parseSelectors(`${selector}`);
    this.#registrations.push({ selectors, handlers: functions(handlers, ["element", "comments", "text"], "on") });
    return this;
  }

  onDocument(handlers) {
    requireArguments(arguments.length, 1, "'onDocument' on 'HTMLRewriter'");
    const found = functions(handlers, Object.keys(this.#handlers), "onDocument");
    for (const [kind, handler] of Object.entries(found)) if (handler !== undefined) this.#handlers[kind].push(handler);
    return this;
  }

  transform(response) {
    requireArguments(arguments.length, 1, "'transform' on 'HTMLRewriter'");
    if (!(response instanceof Response)) throw new TypeError("transform: the argument must be a Response.");
    if (!hasBody(response)) return response;
    const charset = charsetOf(labelOf(response.headers.get("content-type") ?? ""));
    const handlers = mapValues(this.#handlers, (list) => list.map(inContext));
    const registrations = this.#registrations.map(({ selectors, handlers: own }) => ({
      selectors,
      ...mapValues(own, (handler) => (handler === undefined ? undefined : inContext(handler))),
    }));
    const document = new HtmlDocument(charset, handlers, registrations);
    return withBody(response, (body) => bodyOfSource(new Rewritten(document, new Input(body), charset), undefined));
  }
}
Object.defineProperty(HTMLRewriter, "length", { value: 0, configurable: true });
expose(HTMLRewriter);

const mapValues = (object, change) =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));

function labelOf(type) {
  const found = CHARSET.exec(type);
  return found === null ? "utf-8" : (found[1] ?? found[2]);
}

// The handlers of these names, each a function of a token.
function functions(handlers, names, where) {
  const given = dictionary(handlers, `HTMLRewriter.${where}`);
  const found = {};
  for (const name of names) {
    const handler = methodOf(given, name, `HTMLRewriter.${where}`);
    found[name] = handler === undefined ? undefined : (token) => handler.call(given, token);
  }
  return found;
}

// A body, piece by piece.
class Input {
  #text;
  #bytes;
  #source;
  #reader;
  #at = 0;

  constructor({ text, bytes, source, stream }) {
    this.#text = text;
    this.#bytes = bytes;
    this.#source = source;
    this.#reader = stream === null ? null : stream.getReader();
  }

  /** Promises the next bytes, or null. */
  async read() {
    if (this.#source !== null) return this.#source.read();
    if (this.#reader !== null) return this.#readStream();
    this.#bytes ??= encode(this.#text);
    if (this.#at >= this.#bytes.length) return null;
    this.#at += PIECE;
    return this.#bytes.subarray(this.#at - PIECE, this.#at);
  }

  async #readStream() {
    const { value, done } = await this.#reader.read();
    if (done) return null;
    if (value instanceof Uint8Array) return value;
    const error = new TypeError("The body is a stream of something else than Uint8Arrays.");
    this.cancel(error);
    throw error;
  }

  cancel(reason) {
    this.#source?.cancel(reason);
    this.#reader?.cancel(reason).catch(() => {});
  }
}

// The new body.
class Rewritten {
  #document;
  #input;
  #charset;
  #pieces = [];
  #inserted = null; // a stream whose content goes out now: { input, decoder, html }
  #isWanting = true; // the document has gone through all of what it was given
  #isFinished = false; // there is no more for it
  #isOver = false;
  #isCancelled = false; // nobody reads any more: handlers of a token may go on, and none of another is called
  #stop = null; // answers whoever reads
  #failure = null;

  constructor(document, input, charset) {
    this.#document = document;
    this.#input = input;
    this.#charset = charset;
  }

  read() {
    const { promise, resolve, reject } = Promise.withResolvers();
    this.#stop = () => resolve(null);
    this.#read().then(resolve, reject);
    return promise;
  }

  async #read() {
    if (this.#failure !== null) throw this.#failure.reason;
    try {
      while (!this.#isCancelled) {
        const bytes = await this.#next();
        if (bytes !== null) return toBytes(bytes);
        if (this.#isOver) break;
        await this.#goOn();
      }
      return null;
    } catch (error) {
      this.#failure = { reason: error };
      this.#stop = null; // who reads hears the reason
      this.cancel(error);
      throw error;
    }
  }

  // What is ready to go out; null if there is nothing.
  async #next() {
    for (;;) {
      if (this.#inserted !== null) {
        const bytes = await this.#nextInserted();
        if (bytes !== "") return bytes;
      } else {
        if (this.#pieces.length === 0) return null;
        const stream = this.#pieces.findIndex((each) => typeof each !== "string");
        if (stream !== 0) return this.#pieces.splice(0, stream < 0 ? this.#pieces.length : stream).join("");
        const { body, html } = this.#pieces.shift();
        if (body !== null) this.#inserted = { input: new Input(body), decoder: new TextDecoder(), html };
      }
    }
  }

  async #nextInserted() {
    const { input, decoder, html } = this.#inserted;
    const bytes = await input.read();
    if (bytes === null) this.#inserted = null;
    const text = bytes === null ? decoder.decode() : decoder.decode(bytes, { stream: true });
    return written(this.#charset, text, html);
  }

  // A piece of the input through the document.
  async #goOn() {
    if (this.#isWanting) {
      const bytes = await this.#input.read();
      if (this.#isCancelled) return;
      if (bytes === null) this.#document.finish();
      else this.#document.write(fromBytes(bytes));
      this.#isFinished = bytes === null;
    }
    this.#isWanting = await this.#document.go();
    this.#pieces = this.#document.take();
    this.#isOver = this.#isWanting && this.#isFinished;
  }

  cancel(reason) {
    this.#isCancelled = true;
    this.#document.stop();
    for (const each of [...this.#pieces.splice(0), ...this.#document.take()]) {
      if (typeof each === "string" || each.body === null) continue;
      each.body.source?.cancel(reason);
      each.body.stream?.cancel(reason).catch(() => {});
    }
    this.#inserted?.input.cancel(reason);
    this.#input.cancel(reason);
    this.#stop?.();
  }
}
