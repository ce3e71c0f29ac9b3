// The encodings of Node.js's buffers: texts as bytes and back. By what the engine does natively, where it can.

import { decode, encode, fromCodes } from "pyworkerd:web/utf8";

const NAMES = {
  utf8: "utf8", "utf-8": "utf8",
  hex: "hex",
  base64: "base64", base64url: "base64url",
  latin1: "latin1", binary: "latin1", ascii: "ascii",
  utf16le: "utf16le", "utf-16le": "utf16le", ucs2: "utf16le", "ucs-2": "utf16le",
};

/** The one name of an encoding, or undefined if there is none. */
export function encodingNamed(name) {
  if (typeof name !== "string") return undefined;
  const known = Object.hasOwn(NAMES, name) ? name : name.toLowerCase();
  return Object.hasOwn(NAMES, known) ? NAMES[known] : undefined;
}

// A text each of whose characters is a byte, as these bytes, and back.
const toLatin1 = (bytes) => atob(bytes.toBase64());
function fromLatin1(text) {
  if (!/[^\0-\xff]/.test(text)) return Uint8Array.fromBase64(btoa(text));
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function fromBase64(text) {
  const end = text.indexOf("=");
  const digits = (end < 0 ? text : text.slice(0, end)).replace(/[^A-Za-z0-9+/_-]/g, "");
  const whole = digits.length % 4 === 1 ? digits.slice(0, -1) : digits;
  // Bits that are left over say nothing, also if they are not zero.
  return Uint8Array.fromBase64(whole.replaceAll("-", "+").replaceAll("_", "/"), { lastChunkHandling: "loose" });
}

function fromHex(text) {
  const digits = /^(?:[0-9a-fA-F]{2})*/.exec(text)[0];
  return Uint8Array.fromHex(digits);
}

function fromUtf16(text) {
  const bytes = new Uint8Array(2 * text.length);
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    bytes[2 * i] = code;
    bytes[2 * i + 1] = code >> 8;
  }
  return bytes;
}

function toUtf16(bytes) {
  const codes = new Uint16Array(bytes.length >> 1);
  for (let i = 0; i < codes.length; i += 1) codes[i] = bytes[2 * i] | (bytes[2 * i + 1] << 8);
  return fromCodes(codes);
}

/** By name: `encode(text)` gives bytes of their own, `decode(bytes)` a text. */
export const ENCODINGS = {
  __proto__: null,
  utf8: { encode, decode: (bytes) => decode(bytes) },
  hex: { encode: fromHex, decode: (bytes) => bytes.toHex() },
  base64: { encode: fromBase64, decode: (bytes) => bytes.toBase64() },
  base64url: { encode: fromBase64, decode: (bytes) => bytes.toBase64({ alphabet: "base64url", omitPadding: true }) },
  latin1: { encode: fromLatin1, decode: toLatin1 },
  ascii: {
    encode: fromLatin1,
    decode: (bytes) => toLatin1(bytes).replace(/[\x80-\xff]/g, (c) => String.fromCharCode(c.charCodeAt(0) & 0x7f)),
  },
  utf16le: { encode: fromUtf16, decode: toUtf16 },
};
