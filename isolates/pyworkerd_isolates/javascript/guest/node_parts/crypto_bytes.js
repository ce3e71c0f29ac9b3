// What functions of "node:crypto" take as bytes, and give.

import { Buffer } from "pyworkerd:node/buffer";
import { coded, invalidType, outOfRange } from "pyworkerd:node_parts/errors";
import { encodingNamed } from "pyworkerd:node_parts/encodings";

export const BYTES = "of type string or an instance of ArrayBuffer, Buffer, TypedArray, or DataView";
const MAX_INT = 2 ** 31 - 1;

/** The bytes of a buffer or a view, not copied; undefined of anything else. */
export function viewed(value) {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (!ArrayBuffer.isView(value)) return undefined;
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

/** The bytes of a text in this encoding, or of a buffer or a view. */
export function bytesOf(value, name, encoding = undefined, expected = BYTES) {
  if (typeof value === "string") return Buffer.from(value, encodingNamed(encoding) ?? "utf8");
  const bytes = viewed(value);
  if (bytes === undefined) throw invalidType(name, expected, value);
  return bytes;
}

/** Bytes as a program wants them: as a Buffer, or as a text in this encoding. */
export function shownAs(bytes, encoding) {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return encodingNamed(encoding) === undefined ? buffer : buffer.toString(encoding);
}

export function requireInteger(value, name, least = 0, most = MAX_INT) {
  if (typeof value !== "number") throw invalidType(name, "of type number", value);
  if (!Number.isInteger(value)) throw outOfRange(name, "an integer", value);
  if (value < least || value > most) throw outOfRange(name, `>= ${least} && <= ${most}`, value);
}

/** What needs the host, and cannot wait for it: an error that names what can. */
export function onlyLater(name, instead) {
  const message = `crypto.${name}() is not there for workers: the host computes that, and it cannot be waited for.`;
  return coded(Error, "ERR_METHOD_NOT_IMPLEMENTED", `${message} Use ${instead}`);
}
