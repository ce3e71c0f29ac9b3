// R2 on `env`: the methods, options and fields of Workers.

import { CallError } from "pyworkerd:system/calls";
import { Blob } from "pyworkerd:web/blob";
import { bodyOfBytes, extractBody, mixInBody } from "pyworkerd:web/body";
import { Headers } from "pyworkerd:web/headers";
import { isReadable } from "pyworkerd:web/readable";
import { Capability } from "pyworkerd:workers/capability";
import { given } from "pyworkerd:workers/http";
import { asciiJson } from "pyworkerd:workers/json";

const BASE = "http://r2/";
const HEADER = "x-r2";
// Where the host reads what is asked, and this module what is answered: JSON.
const LONGEST_KEY = 2048;
// Longer than any key may be: what is cut off is never looked at.
const MOST_KEYS = 1000;
const MAX_KEYS = 400000;
// Characters, as JSON has them, of the keys of one call: more are deleted by several.
const HTTP_HEADERS = {
  contentType: "content-type",
  contentLanguage: "content-language",
  contentDisposition: "content-disposition",
  contentEncoding: "content-encoding",
  cacheControl: "cache-control",
};

// R2 refused something: `code` is its number, `action` what was asked.
class R2Error extends CallError {
  constructor(message, action, code) {
    super(message, code);
    this.action = action;
  }
}
Object.defineProperty(R2Error.prototype, "name", { value: "R2Error", configurable: true, writable: true });

// Of each kind of checksum that is known, its bytes; as JSON, in hexadecimal.
class R2Checksums {
  constructor(sums) {
    for (const [name, hex] of Object.entries(sums)) this[name] = Uint8Array.fromHex(hex).buffer;
  }

  toJSON() {
    return Object.fromEntries(Object.entries(this).map(([name, sum]) => [name, new Uint8Array(sum).toHex()]));
  }
}

const camel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());

// What is known of an object.
export class R2Object {
  constructor([key, version, size, etag, uploaded, http, custom, sums, storageClass, span]) {
    this.key = key;
    this.version = version;
    this.size = size;
    this.etag = etag;
    this.httpEtag = `"${etag}"`;
    this.uploaded = new Date(uploaded);
    this.httpMetadata = Object.fromEntries(Object.entries(http).map(([name, value]) => [camel(name), value]));
    if (this.httpMetadata.cacheExpiry !== undefined) {
      this.httpMetadata.cacheExpiry = new Date(this.httpMetadata.cacheExpiry);
    }
    this.customMetadata = custom;
    this.range = span === null ? undefined : { offset: span[0], length: span[1] };
    this.storageClass = storageClass;
    this.checksums = new R2Checksums(sums);
  }

  // Set the headers that the object was written with.
  writeHttpMetadata(headers) {
    for (const [name, header] of Object.entries(HTTP_HEADERS)) {
      if (this.httpMetadata[name] !== undefined) headers.set(header, this.httpMetadata[name]);
    }
    if (this.httpMetadata.cacheExpiry) headers.set("expires", this.httpMetadata.cacheExpiry.toUTCString());
  }
}

let contentOf;

// An object and its bytes, which are read once: `text()`, `json()`, `arrayBuffer()`, `blob()`, or `body`, a stream.
export class R2ObjectBody extends R2Object {
  #content;

  constructor(fields, body) {
    super(fields);
    this.#content = given(body) ?? bodyOfBytes(new Uint8Array(0));
  }

  static {
    contentOf = (self) => self.#content;
  }
}
mixInBody(R2ObjectBody, (self) => contentOf(self), (self) => self.httpMetadata.contentType ?? null);
delete R2ObjectBody.prototype.formData;

// An upload in parts. To make one needs no call: `resumeMultipartUpload` does not know whether it is there.
export class R2MultipartUpload {
  #bucket;

  constructor(bucket, key, uploadId) {
    this.#bucket = bucket;
    this.key = key;
    this.uploadId = uploadId;
  }

  // Send a part: its `partNumber` and `etag`, for `complete`.
  async uploadPart(number, value, options) {
    optionsOf(options);
    const asked = { upload: this.uploadId, number };
    const { told } = await send(this.#bucket, "POST", this.key, asked, bodyOf(value));
    return { partNumber: told[0], etag: told[1] };
  }

  // Make an object of the parts, in the order of their numbers.
  async complete(parts) {
    const listed = Array.from(parts, ({ partNumber, etag }) => [partNumber, etag]);
    return new R2Object(await ask(this.#bucket, "complete", this.key, this.uploadId, listed));
  }

  // Drop the upload and its parts.
  async abort() {
    await ask(this.#bucket, "abort", this.key, this.uploadId);
  }
}

export class R2Bucket extends Capability {
  // What is there under a key, without its bytes; null if there is nothing.
  async head(key) {
    const found = await ask(this, "head", text(key, "key"));
    return found === null ? null : new R2Object(found);
  }

  // An object with its bytes; without them if `onlyIf` does not hold; null if there is none.
  async get(key, options) {
    const { status, told, body } = await send(this, "GET", key, optionsOf(options), null);
    if (told === null) return null;
    return status === 200 ? new R2ObjectBody(told, body) : new R2Object(told);
  }

  // Write an object. It is on disk when this resolves; null if `onlyIf` does not hold.
  async put(key, value, options) {
    const { told } = await send(this, "PUT", key, optionsOf(options), bodyOf(value));
    return told === null ? null : new R2Object(told);
  }

  // Delete an object, or up to 1,000. They need not be there.
  async delete(keys) {
    const all = Array.from(typeof keys === "string" ? [keys] : keys, (key) => text(key, "key"));
    if (all.length > MOST_KEYS) await ask(this, "delete", all.slice(0, MOST_KEYS + 1)); // to be refused
    let portion = [];
    let size = 0;
    for (const key of all) {
      portion.push(key);
      size += key.length <= 1024 ? asciiJson(key).length : 6144;
      if (size <= MAX_KEYS) continue;
      await ask(this, "delete", portion);
      portion = [];
      size = 0;
    }
    if (portion.length > 0) await ask(this, "delete", portion);
  }

  // A page of keys: `objects`, `delimitedPrefixes`, `truncated`, and `cursor` where there is more.
  async list(options) {
    const [objects, delimitedPrefixes, cursor] = await ask(this, "list", optionsOf(options));
    const found = objects.map((fields) => new R2Object(fields));
    const page = { objects: found, delimitedPrefixes, truncated: cursor !== null };
    return cursor === null ? page : { ...page, cursor };
  }

  // Begin an upload in parts.
  async createMultipartUpload(key, options) {
    return new R2MultipartUpload(this, key, await ask(this, "create", text(key, "key"), optionsOf(options)));
  }

  // An upload that was begun before, perhaps by another invocation.
  resumeMultipartUpload(key, uploadId) {
    return new R2MultipartUpload(this, text(key, "key"), text(uploadId, "upload id"));
  }
}

async function ask(bucket, method, ...positional) {
  try {
    return await Capability.call(bucket, method, ...positional);
  } catch (error) {
    throw own(error);
  }
}

async function send(bucket, method, key, asked, body) {
  const pairs = [[HEADER, asciiJson({ ...asked, key: text(key, "key").slice(0, LONGEST_KEY) })]];
  let answer;
  try {
    answer = await Capability.fetch(bucket, method, BASE, pairs, body);
  } catch (error) {
    throw own(error);
  }
  const told = answer.headers.find(([name]) => name === HEADER);
  return { status: answer.status, told: told === undefined ? null : JSON.parse(told[1]), body: answer.body };
}

function own(error) {
  const found = /^(\w+): (.*) \((\d+)\)$/s.exec(error?.message);
  return found === null ? error : new R2Error(error.message, found[1], Number(found[3]));
}

function text(value, what) {
  if (typeof value !== "string") throw new TypeError(`the ${what} has to be a string, not ${typeof value}`);
  return value;
}

function bodyOf(value) {
  if (value === null) return null;
  const isBytes = ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
  if (typeof value !== "string" && !isBytes && !isReadable(value) && !(value instanceof Blob)) {
    throw new TypeError("R2 takes strings, ArrayBuffers, ArrayBufferViews, Blobs, ReadableStreams and null as values.");
  }
  return extractBody(value).take();
}

// Options as JSON can say them. What is undefined or null is as if it were not given.
function optionsOf(options) {
  if (options === undefined || options === null) return {};
  if (typeof options !== "object") throw new TypeError(`the options have to be an object, not ${typeof options}`);
  return Object.fromEntries(
    Object.entries(options)
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => [name, plain(value)]),
  );
}

function plain(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  if (value instanceof Headers) return { headers: [...value] };
  if (value instanceof Date) return value.getTime();
  if (value instanceof ArrayBuffer) return new Uint8Array(value).toHex();
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).toHex();
  return optionsOf(value);
}
