// The encoding of a document, between its bytes, as a text of one character each, and what they mean.

import { TextDecoder } from "pyworkerd:web/encoding";
import { encodingOf } from "pyworkerd:web/labels";
import { legacyDecoder } from "pyworkerd:web/legacy_encoding";
import { decode as decodeUtf8, encode as encodeUtf8, incomplete } from "pyworkerd:web/utf8";

const ASCII = /^[\0-\x7f]*$/;
const MOST_LEFT = 3;
// Bytes of a character that is not complete, in any encoding.

/** Bytes as a text, and back. The engine does both natively. */
export const fromBytes = (bytes) => atob(bytes.toBase64());
export const toBytes = (text) => Uint8Array.fromBase64(btoa(text));

const UTF_8 = {
  decode: (text) => (ASCII.test(text) ? text : decodeUtf8(toBytes(text))),
  encode: (text) => (ASCII.test(text) ? text : fromBytes(encodeUtf8(text))),
  has: () => true,
  left: (text) => incomplete(toBytes(text.slice(-MOST_LEFT))),
};

/** The encoding that a label means; a TypeError if there is none, or if it has no ASCII in it. `decode` gives the text
 *  of bytes and `encode` the bytes of a text, with character references for what they cannot say; `has`: whether they
 *  can say all of a text; `left`: how many bytes at the end are the beginning of a character. */
export function charsetOf(label) {
  const name = encodingOf(label);
  if (name === undefined) throw new TypeError("Parser error: Unknown character encoding has been provided.");
  return name === "utf-8" ? UTF_8 : (made.get(name) ?? make(name));
}

const made = new Map();

function make(name) {
  const text = (bytes, stream) => new TextDecoder(name, { ignoreBOM: true }).decode(bytes, { stream });
  const ascii = Uint8Array.from({ length: 128 }, (_, code) => code);
  if (text(ascii, false) !== String.fromCharCode(...ascii)) {
    throw new TypeError("Parser error: Expected ASCII-compatible encoding.");
  }
  const codes = new Map();
  let single = true;
  for (let code = 128; code < 256; code += 1) {
    const character = text(Uint8Array.of(code), true);
    if (character === "") single = false;
    else if (character !== "\ufffd") codes.set(character, String.fromCharCode(code));
  }
  const charset = {
    decode: (bytes) => (ASCII.test(bytes) ? bytes : text(toBytes(bytes), false)),
    encode: (given) =>
      given.replace(/[^\0-\x7f]/gu, (each) => codes.get(each) ?? `&#${each.toWellFormed().codePointAt(0)};`),
    has: (given) => Array.from(given).every((each) => ASCII.test(each) || codes.has(each)),
    left: single ? () => 0 : (bytes) => bytes.length - legacyDecoder(name)(toBytes(bytes), false, true).used,
  };
  made.set(name, charset);
  return charset;
}
