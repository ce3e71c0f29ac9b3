// The module "node:querystring" (https://nodejs.org/api/querystring.html).

import { decode, encode } from "pyworkerd:web/utf8";

const MOST_KEYS = 1000; // Node's maxKeys

/** A text percent-encoded; what is half a surrogate pair raises a URIError. */
export function escape(value) {
  const text = typeof value === "string" ? value : typeof value === "object" ? String(value) : `${value}`;
  return encodeURIComponent(text);
}

// What is malformed stays as it is.
export function unescape(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return decode(bytesOf(`${text}`));
  }
}

export function unescapeBuffer(text) {
  return globalThis.Buffer.from(bytesOf(text));
}

function bytesOf(text) {
  const plain = text.replace(/%(?![0-9a-fA-F]{2})/g, "%25");
  const bytes = encode(plain);
  const decoded = [];
  for (let i = 0; i < bytes.length; i += 1) {
    if (bytes[i] !== 0x25) decoded.push(bytes[i]);
    else decoded.push(Number.parseInt(String.fromCharCode(bytes[i + 1], bytes[(i += 2)]), 16));
  }
  return Uint8Array.from(decoded);
}

const asText = (value) => {
  if (typeof value === "string") return value;
  const isPlain = typeof value === "bigint" || typeof value === "boolean" || Number.isFinite(value);
  return isPlain ? `${value}` : "";
};

export function stringify(values, separator = "&", equals = "=", options = undefined) {
  if (values === null || typeof values !== "object") return "";
  const quote = options?.encodeURIComponent ?? querystring.escape;
  const pairs = [];
  for (const [key, value] of Object.entries(values)) {
    const name = quote(asText(key)) + (equals || "=");
    for (const each of Array.isArray(value) ? value : [value]) pairs.push(name + quote(asText(each)));
  }
  return pairs.join(separator || "&");
}

export function parse(text, separator = "&", equals = "=", options = undefined) {
  const found = Object.create(null);
  if (typeof text !== "string" || text === "") return found;
  const plainly = options?.decodeURIComponent ?? querystring.unescape;
  const most = typeof options?.maxKeys === "number" ? options.maxKeys : MOST_KEYS;
  const pairs = text.split(separator || "&");
  for (const pair of most > 0 ? pairs.slice(0, most) : pairs) {
    if (pair === "") continue;
    const at = pair.indexOf(equals || "=");
    const plain = (part) => decoded(part.replaceAll("+", " "), plainly);
    const key = plain(at < 0 ? pair : pair.slice(0, at));
    const value = at < 0 ? "" : plain(pair.slice(at + (equals || "=").length));
    if (!(key in found)) found[key] = value;
    else if (Array.isArray(found[key])) found[key].push(value);
    else found[key] = [found[key], value];
  }
  return found;
}

function decoded(text, plainly) {
  try {
    return plainly(text);
  } catch {
    return unescape(text);
  }
}

export { parse as decode, stringify as encode };

const querystring = { escape, unescape, unescapeBuffer, stringify, parse, encode: stringify, decode: parse };
export default querystring;
