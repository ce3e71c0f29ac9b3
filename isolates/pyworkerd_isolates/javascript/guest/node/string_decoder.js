// The module "node:string_decoder": bytes that come in pieces as text, without half a character between them.

import { encodingNamed } from "pyworkerd:node_parts/encodings";
import { coded, invalidType } from "pyworkerd:node_parts/errors";
import { Buffer } from "pyworkerd:node/buffer";
import { concatenate, incomplete } from "pyworkerd:web/utf8";

// How many bytes at the end have to wait for more.
const REST = {
  __proto__: null,
  utf8: incomplete,
  utf16le(bytes) {
    const odd = bytes.length % 2;
    const last = bytes.length - odd;
    return last >= 2 && (bytes[last - 1] & 0xfc) === 0xd8 ? odd + 2 : odd;
  },
  base64: (bytes) => bytes.length % 3,
  base64url: (bytes) => bytes.length % 3,
};
const NOTHING = new Uint8Array(0);

// A function and no class, as in Node.js.
export function StringDecoder(encoding = "utf8") {
  const name = encodingNamed(encoding ?? "utf8");
  if (name === undefined) throw coded(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${encoding}`);
  this.encoding = name;
  this._left = NOTHING;
}

StringDecoder.prototype.write = function (piece) {
  if (typeof piece === "string") return piece;
  if (!ArrayBuffer.isView(piece)) {
    throw invalidType("buf", "an instance of Buffer, TypedArray, or DataView", piece);
  }
  const given = new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);
  const bytes = this._left.length === 0 ? given : concatenate([this._left, given], this._left.length + given.length);
  const rest = REST[this.encoding]?.(bytes) ?? 0;
  this._left = bytes.slice(bytes.length - rest);
  return textOf(bytes.subarray(0, bytes.length - rest), this.encoding);
};

StringDecoder.prototype.end = function (piece = undefined) {
  const text = piece === undefined ? "" : this.write(piece);
  const left = this._left;
  this._left = NOTHING;
  return text + textOf(left, this.encoding);
};

StringDecoder.prototype.text = function (piece, offset) {
  this._left = NOTHING;
  return this.write(piece.subarray(offset));
};

const textOf = (bytes, encoding) =>
  bytes.length === 0 ? "" : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString(encoding);

export default { StringDecoder };
