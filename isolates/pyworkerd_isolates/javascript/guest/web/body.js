// Bodies of requests and responses (https://fetch.spec.whatwg.org/#bodies). One whose content is at hand goes through
// no stream until somebody asks for `body`.

import { blobBytes, makeBlob } from "pyworkerd:web/blob";
import { structuredClone } from "pyworkerd:web/clone";
import { bytesOf } from "pyworkerd:web/encoding";
import { formList, makeForm } from "pyworkerd:web/form_data";
import { inherit } from "pyworkerd:web/idl";
import { encodeMultipart, parseMultipart } from "pyworkerd:web/multipart";
import { byteStream, isReadable, readableOf, wrap } from "pyworkerd:web/readable";
import { Reader, closeStream, read } from "pyworkerd:web/readable_core";
import { paramsList, parseForm, serializeForm } from "pyworkerd:web/search_params";
import { tee } from "pyworkerd:web/tee";
import { lengthOfReadable } from "pyworkerd:web/transform";
import { concatenate, decode, encode } from "pyworkerd:web/utf8";

const USED = "Body has already been used. It can only be used once. Use tee() first if you need to read it twice.";
const LOCKED = "This ReadableStream is currently locked to a reader.";
const NOTHING = new Uint8Array(0);

// What promises give bytes in: nobody's `then` is found on it (nor on what a program adds to Object.prototype).
class Box {
  constructor(bytes) {
    this.bytes = bytes;
  }
}
Object.setPrototypeOf(Box.prototype, null);

/** The content: a text, bytes, a source of the host's (`read()` promises the next bytes or null, `cancel()`), or a
 *  stream. Where there is a stream it alone counts. `length`: how many bytes, where that is known beforehand. */
export class Body {
  constructor(text, bytes, source, stream, length) {
    if (text !== null) this.text = text;
    if (bytes !== null) this.bytes = bytes;
    if (source !== null) this.source = source;
    if (stream !== null) this.stream = stream;
    if (length !== undefined) this.length = length;
  }

  isUsed() { return this.stream === null ? this.used : readableOf(this.stream).disturbed; }

  /** Marks it as used; a TypeError if it was. */
  claim() {
    this.source?.check?.();
    if (this.stream !== null) {
      const inner = readableOf(this.stream);
      if (inner.disturbed) throw new TypeError(USED);
      if (inner.reader !== null) throw new TypeError(LOCKED);
    }
    if (this.used) throw new TypeError(USED);
    this.used = true;
  }

  /** What the host is to send: claimed, with nothing but a text, bytes, a source or a stream. */
  take() {
    this.claim();
    if (this.stream === null) return this;
    const inner = readableOf(this.stream);
    const { origin } = inner;
    if (origin === undefined || inner.state !== "readable") return new Body(null, null, null, this.stream, this.length);
    // A stream of the host's that nobody has read from: the host can have it back.
    inner.disturbed = true;
    closeStream(inner);
    return new Body(null, null, origin.source, null, origin.length);
  }

  readable() {
    if (this.stream !== null) return this.stream;
    const { source } = this;
    let stream;
    if (source !== null && !this.used) {
      stream = streamOf(source, this.length);
    } else {
      const made = byteStream(null, null);
      stream = made[0];
      const bytes = this.used ? NOTHING : this.text === null ? this.bytes : encode(this.text);
      if (bytes !== null && bytes.length > 0) made[1].enqueue(this.shared ? bytes.slice() : bytes);
      made[1].close();
      if (this.used) {
        const inner = readableOf(stream);
        inner.disturbed = true;
        new Reader(inner, false); // that of whoever has read it
      }
    }
    this.stream = stream;
    this.text = this.bytes = this.source = null;
    return stream;
  }

  /** Its bytes in a Box, or a promise of that. */
  consume() {
    this.claim();
    if (this.stream !== null) return readAll(readableOf(this.stream));
    if (this.source !== null) return drain(this.source);
    return new Box(this.bytes ?? encode(this.text));
  }

  /** Another body with the same content. */
  clone() {
    if (this.isUsed()) throw new TypeError(USED);
    if (this.stream === null && this.source === null) {
      this.shared = true;
      const copy = new Body(this.text, this.bytes, null, null, this.length);
      copy.shared = true;
      return copy;
    }
    const inner = readableOf(this.readable());
    if (inner.reader !== null) throw new TypeError(LOCKED);
    const [own, other] = tee(inner, structuredClone).map(wrap);
    this.stream = own;
    return new Body(null, null, null, other, this.length);
  }
}

inherit(Body, {
  text: null, bytes: null, source: null, stream: null, length: undefined, used: false, shared: false,
}); // `shared`: others have the same bytes

function streamOf(source, length) {
  const pull = async () => {
    const bytes = await source.read();
    if (bytes === null) controller.close();
    else controller.enqueue(bytes);
  };
  const [stream, controller] = byteStream(pull, async (reason) => source.cancel(reason));
  readableOf(stream).origin = { source, length };
  return stream;
}

async function drain(source) {
  const pieces = [];
  let size = 0;
  for (;;) {
    const bytes = await source.read();
    if (bytes === null) return new Box(concatenate(pieces, size));
    pieces.push(bytes);
    size += bytes.length;
  }
}

// All of a stream. Chunks that are there already are taken without a promise for each.
function readAll(stream) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const reader = new Reader(stream, false);
  const pieces = [];
  let size = 0;
  let going = false;
  let more = true;
  const request = {
    chunk(bytes) {
      if (!(bytes instanceof Uint8Array)) {
        reject(new TypeError("The body is a stream of something else than Uint8Arrays."));
        return;
      }
      pieces.push(bytes);
      size += bytes.length;
      more = true;
      if (!going) go();
    },
    close: () => resolve(new Box(concatenate(pieces, size))),
    error: reject,
  };
  const go = () => {
    going = true;
    while (more) {
      more = false;
      read(reader, request);
    }
    going = false;
  };
  go();
  return promise;
}

/** The Body, or null, of what a worker gives as one. `bodyType` is the content type that it brings, or null. */
export function extractBody(value) {
  bodyType = null;
  if (value === null || value === undefined) return null;
  if (typeof value === "string") {
    bodyType = TEXT;
    return new Body(value, null, null, null, undefined);
  }
  if (typeof value === "object") {
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
      return bodyOfBytes(bytesOf(value, "The body").slice());
    }
    if (isReadable(value)) {
      const inner = readableOf(value);
      if (inner.disturbed) throw new TypeError("This ReadableStream is disturbed (has already been read from).");
      if (inner.reader !== null) throw new TypeError(LOCKED);
      return new Body(null, null, null, value, lengthOfReadable(value));
    }
    const params = paramsList(value);
    if (params !== undefined) {
      bodyType = FORM;
      return new Body(serializeForm(params), null, null, null, undefined);
    }
    const bytes = blobBytes(value);
    if (bytes !== undefined) {
      const body = bodyOfBytes(bytes);
      body.shared = true;
      bodyType = value.type || null;
      return body;
    }
    const form = formList(value);
    if (form !== undefined) {
      const [encoded, boundary] = encodeMultipart(form);
      bodyType = `multipart/form-data; boundary=${boundary}`;
      return bodyOfBytes(encoded);
    }
  }
  const text = `${value}`;
  bodyType = TEXT;
  return new Body(text, null, null, null, undefined);
}

// Beside the result and not in it: a pair would cost as much as the body.
export let bodyType = null;
const TEXT = "text/plain;charset=UTF-8";
const FORM = "application/x-www-form-urlencoded;charset=UTF-8";

/** A body of bytes that nobody else will write to. */
export const bodyOfBytes = (bytes) => new Body(null, bytes, null, null, bytes.length);

/** A body that comes from the host: `read()` promises the next bytes or null, `cancel()` is called when no more are
 *  wanted. `length`: how many there will be, or undefined. */
export const bodyOfSource = (source, length) => new Body(null, null, source, null, length);

const unmarked = (text) => (text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);

async function textOf(body) {
  if (body === null) return "";
  if (body.text !== null) {
    body.claim();
    return unmarked(body.text.toWellFormed());
  }
  return unmarked(decode((await body.consume()).bytes));
}

// Bytes of one's own, in a buffer of their own.
async function ownBytes(body) {
  if (body === null) return new Uint8Array(0);
  const { bytes } = await body.consume();
  return body.shared || bytes.length !== bytes.buffer.byteLength ? bytes.slice() : bytes;
}

function parseType(text) {
  const [essence, ...parameters] = (text ?? "").split(";");
  const boundary = parameters.map((each) => /^\s*boundary=(?:"([^"]+)"|([^\s"]+))\s*$/i.exec(each)).find(Boolean);
  return { essence: essence.trim().toLowerCase(), boundary: boundary?.[1] ?? boundary?.[2] };
}

/** The members that requests and responses share. `bodyOf(self)` gives the Body or null, `typeOf(self)` the value of
 *  its Content-Type or null; both throw for objects of other classes. */
export function mixInBody(interfaceClass, bodyOf, typeOf) {
  // What has been aborted says so at once.
  const usable = (self) => {
    const body = bodyOf(self);
    body?.source?.check?.();
    return body;
  };
  const members = {
    get body() { return bodyOf(this)?.readable() ?? null; },
    get bodyUsed() { return bodyOf(this)?.isUsed() ?? false; },
    async arrayBuffer() { return (await ownBytes(usable(this))).buffer; },
    async blob() { return makeBlob(await ownBytes(usable(this)), typeOf(this) ?? ""); },
    async bytes() { return ownBytes(usable(this)); },
    async formData() {
      const body = usable(this);
      const { essence, boundary } = parseType(typeOf(this));
      const bytes = body === null ? NOTHING : (await body.consume()).bytes;
      if (essence === "multipart/form-data") {
        if (boundary === undefined) throw new TypeError("The Content-Type of the multipart body names no boundary.");
        return makeForm(parseMultipart(bytes, boundary));
      }
      if (essence === "application/x-www-form-urlencoded") return makeForm(parseForm(decode(bytes)));
      throw new TypeError(`Unrecognized Content-Type header value for a form: ${essence || "none"}.`);
    },
    async json() { return JSON.parse(await textOf(usable(this))); },
    async text() { return textOf(usable(this)); },
  };
  Object.defineProperties(interfaceClass.prototype, Object.getOwnPropertyDescriptors(members));
}
