// The module "node:punycode" (https://nodejs.org/api/punycode.html): labels of international names as ASCII.

import { decodeLabel, encodeLabel } from "pyworkerd:web/punycode";

export const version = "2.1.0";
const LONGEST = 2048; // it takes a time that is quadratic in the length, and no name is longer

function checked(text) {
  if (text.length > LONGEST) throw new RangeError(`Overflow: a label has at most ${LONGEST} characters here`);
  return text;
}

export function encode(text) {
  return encodeLabel(checked(`${text}`));
}

export function decode(text) {
  const label = checked(`${text}`);
  const found = decodeLabel(label.toLowerCase() === label ? label : lowered(label));
  if (found !== null) return found;
  const isBasic = !/[^\0-\x7f]/.test(label.slice(0, Math.max(0, label.lastIndexOf("-"))));
  throw new RangeError(isBasic ? "Invalid input" : "Illegal input >= 0x80 (not a basic code point)");
}

// The digits after the last hyphen may be of either case; what comes before is text.
function lowered(label) {
  const digits = label.lastIndexOf("-") + 1;
  return label.slice(0, digits) + label.slice(digits).toLowerCase();
}

function eachLabel(text, act) {
  const at = text.indexOf("@");
  const [before, name] = at < 0 ? ["", text] : [text.slice(0, at + 1), text.slice(at + 1)];
  return before + name.split(/[.\u3002\uff0e\uff61]/).map(act).join(".");
}

/** A domain or an e-mail address, with what is not ASCII as `xn--`. */
export function toASCII(text) {
  return eachLabel(`${text}`, (label) => (/[^\0-\x7f]/.test(label) ? `xn--${encode(label)}` : label));
}

export function toUnicode(text) {
  return eachLabel(`${text}`, (label) => (label.startsWith("xn--") ? decode(label.slice(4).toLowerCase()) : label));
}

export const ucs2 = {
  decode: (text) => Array.from(text, (character) => character.codePointAt(0)),
  encode: (points) => points.map((point) => String.fromCodePoint(point)).join(""),
};

export default { decode, encode, toASCII, toUnicode, ucs2, version };
