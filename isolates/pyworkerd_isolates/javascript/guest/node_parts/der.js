// DER (ITU-T X.690) and its text form, PEM (RFC 7468): as much as keys need. What is read is hostile: every length is
// held to what there is.

import { concatenate } from "pyworkerd:web/utf8";

export const TAGS = { integer: 0x02, bits: 0x03, octets: 0x04, none: 0x05, oid: 0x06, sequence: 0x30 };
const MOST_PARTS = 64; // of one element: no key has more, and no certificate

export class DerError extends Error {}

/** The element that begins at this place: its tag, its content, and where it ends. */
function elementAt(bytes, at) {
  const tag = bytes[at];
  let length = bytes[at + 1];
  let from = at + 2;
  if (length === undefined) throw new DerError("it ends too early");
  if (length & 0x80) {
    const count = length & 0x7f;
    if (count === 0 || count > 3) throw new DerError("a length is not valid");
    length = 0;
    for (let i = 0; i < count; i += 1) length = length * 256 + (bytes[from + i] ?? NaN);
    from += count;
  }
  if (!(from + length <= bytes.length)) throw new DerError("it ends too early");
  return { tag, body: bytes.subarray(from, from + length), whole: bytes.subarray(at, from + length) };
}

/** All elements that these bytes are. */
export function elements(bytes) {
  const found = [];
  for (let at = 0; at < bytes.length; at += found.at(-1).whole.length) {
    if (found.length === MOST_PARTS) throw new DerError("it has too many parts");
    found.push(elementAt(bytes, at));
  }
  return found;
}

/** The content of an element that has to have this tag. */
export function bodyOf(element, tag) {
  if (element?.tag !== tag) throw new DerError("it has another form");
  return element.body;
}

/** The parts of the one sequence that these bytes are. */
export function sequence(bytes) {
  const [only, ...others] = elements(bytes);
  if (others.length > 0) throw new DerError("something follows its end");
  return elements(bodyOf(only, TAGS.sequence));
}

/** The bytes of a bit string, all of whose bits count. */
export function bitsIn(element) {
  const body = bodyOf(element, TAGS.bits);
  if (body[0] !== 0) throw new DerError("a bit string has another form");
  return body.subarray(1);
}

/** A number that is not negative. */
export function integerIn(element) {
  const body = bodyOf(element, TAGS.integer);
  if (body.length === 0 || body[0] & 0x80) throw new DerError("a number is negative");
  return BigInt(`0x${body.toHex()}`);
}

export function write(tag, ...parts) {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  let digits = size.toString(16);
  if (digits.length % 2 === 1) digits = `0${digits}`;
  const length = size < 0x80 ? [size] : [0x80 + digits.length / 2, ...Uint8Array.fromHex(digits)];
  return concatenate([Uint8Array.of(tag, ...length), ...parts], 1 + length.length + size);
}

export function writeInteger(number) {
  let digits = number.toString(16);
  if (digits.length % 2 === 1) digits = `0${digits}`;
  if (Number.parseInt(digits[0], 16) >= 8) digits = `00${digits}`; // else it would be negative
  return write(TAGS.integer, Uint8Array.fromHex(digits));
}

export const writeBits = (bytes) => write(TAGS.bits, Uint8Array.of(0), bytes);
export const writeSequence = (...parts) => write(TAGS.sequence, ...parts);
export const writeOid = (digits) => write(TAGS.oid, Uint8Array.fromHex(digits));

const PEM = /-----BEGIN ([A-Z0-9 ]{1,40})-----([A-Za-z0-9+/=\s]*)-----END \1-----/g;

/** The labels and the bytes of the parts of a text. */
export function fromPem(text) {
  const found = [];
  for (const [, label, body] of text.matchAll(PEM)) {
    try {
      found.push({ label, bytes: Uint8Array.fromBase64(body) });
    } catch {
      continue; // it is no base64
    }
    if (found.length === MOST_PARTS) break;
  }
  return found;
}

export function toPem(label, bytes) {
  return `-----BEGIN ${label}-----\n${bytes.toBase64().replace(/.{1,64}/g, "$&\n")}-----END ${label}-----\n`;
}
