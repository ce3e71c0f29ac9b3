// KV on `env`: the methods and options of Workers.

import { CallError } from "pyworkerd:system/calls";
import { readValue, writeValue } from "pyworkerd:system/values";
import { Capability } from "pyworkerd:workers/capability";
import { bodyOfBytes, extractBody } from "pyworkerd:web/body";
import { isReadable } from "pyworkerd:web/readable";
import { decode } from "pyworkerd:web/utf8";
import { readAll, streamOf } from "pyworkerd:workers/http";
import { asciiJson } from "pyworkerd:workers/json";

const TYPES = new Set(["text", "json", "arrayBuffer", "stream"]);
const MAX_HEADER = 8192;
// Characters of metadata that are sent to be refused; more are refused here.
const LONGEST_KEY = 2048;
// Longer than any key may be: what is cut off is never looked at.

export class KVNamespace extends Capability {
  async get(key, options) {
    const { type, cacheTtl } = readOptions(options);
    if (Array.isArray(key)) {
      return new Map((await many(this, key, type, cacheTtl)).map(([name, value]) => [name, value]));
    }
    return (await one(this, key, type, cacheTtl)).value;
  }

  async getWithMetadata(key, options) {
    const { type, cacheTtl } = readOptions(options);
    if (Array.isArray(key)) {
      const found = await many(this, key, type, cacheTtl);
      return new Map(found.map(([name, value, metadata]) => [name, { value, metadata, cacheStatus: null }]));
    }
    return { ...(await one(this, key, type, cacheTtl)), cacheStatus: null };
  }

  async put(key, value, options = {}) {
    const headers = [];
    if (options?.metadata !== undefined && options.metadata !== null) {
      const text = asciiJson(options.metadata);
      if (text.length > MAX_HEADER) {
        throw new CallError(`KV PUT failed: 413 Metadata length of ${text.length} exceeds limit of 1024.`, "bad_call");
      }
      headers.push(["cf-kv-metadata", text]);
    }
    const url = urlOf(key, { expiration: options?.expiration, expiration_ttl: options?.expirationTtl });
    await Capability.fetch(this, "PUT", url, headers, bodyOf(value));
  }

  async delete(key) {
    await Capability.call(this, "delete", checked(key));
  }

  async list(options = {}) {
    const { prefix = null, limit = null, cursor = null } = options ?? {};
    const [keys, next] = await Capability.call(this, "list", prefix, limit, cursor);
    const page = { keys: keys.map(listed), list_complete: next === null, cacheStatus: null };
    return next === null ? page : { ...page, cursor: next };
  }
}

function bodyOf(value) {
  const isBytes = ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
  if (typeof value !== "string" && !isBytes && !isReadable(value)) {
    throw new TypeError(
      "KV put() accepts only strings, ArrayBuffers, ArrayBufferViews, and ReadableStreams as values.",
    );
  }
  return extractBody(value).take();
}

function listed([name, expiration, metadata]) {
  const found = { name };
  if (expiration !== null) found.expiration = expiration;
  if (metadata !== null) found.metadata = JSON.parse(metadata);
  return found;
}

function checked(key) {
  if (typeof key !== "string") throw new TypeError(`a key has to be a string, not ${typeof key}`);
  return key;
}

function urlOf(key, options = {}) {
  const query = Object.entries(options)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([name, value]) => `${name}=${encodeURIComponent(typeof value === "string" ? value : JSON.stringify(value))}`)
    .join("&");
  const path = encodeURIComponent(checked(key).slice(0, LONGEST_KEY).toWellFormed());
  return query ? `http://kv/${path}?${query}` : `http://kv/${path}`;
}

function readOptions(options) {
  const { type = "text", cacheTtl } = typeof options === "string" ? { type: options } : (options ?? {});
  if (!TYPES.has(type)) {
    throw new TypeError('Unknown response type. Possible types are "text", "arrayBuffer", "json", and "stream".');
  }
  return { type, cacheTtl };
}

async function one(namespace, key, type, cacheTtl) {
  const { status, headers, body } = await Capability.fetch(namespace, "GET", urlOf(key, { cache_ttl: cacheTtl }));
  if (status === 404) return { value: null, metadata: null };
  const found = headers.find(([name]) => name === "cf-kv-metadata");
  const value = type === "stream" ? streamOf(body) : as(type, await readAll(body));
  return { value, metadata: found === undefined ? null : JSON.parse(found[1]) };
}

async function many(namespace, keys, type, cacheTtl) {
  if (type !== "text" && type !== "json") {
    throw new CallError(`KV GET_BULK failed: 400 "${type}" is not a valid type. Use "json" or "text"`, "bad_call");
  }
  const wanted = bodyOfBytes(writeValue(keys.map(checked)));
  const answer = await Capability.fetch(namespace, "POST", urlOf("", { cache_ttl: cacheTtl }), [], wanted);
  const data = await readAll(answer.body);
  let at = 4 + new DataView(data.buffer, data.byteOffset, 4).getUint32(0, true);
  return readValue(data.slice(4, at)).map(([key, length, metadata]) => {
    const value = length === null ? null : as(type, data.slice(at, (at += length)));
    return [key, value, metadata === null ? null : JSON.parse(metadata)];
  });
}

function as(type, data) {
  if (type === "arrayBuffer") return data.buffer;
  return type === "json" ? JSON.parse(decode(data)) : decode(data);
}

