// Hosts of URLs (https://url.spec.whatwg.org/#host-parsing).

import { domainToASCII } from "pyworkerd:web/idna";
import { C0_CONTROL, percentDecode, percentEncode } from "pyworkerd:web/percent";

const PLAIN = /^[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)*\.?$/; // what is already as it should be, and no number
const FORBIDDEN = /[\0\t\n\r #/:<>?@[\\\]^|]/;
const FORBIDDEN_IN_DOMAIN = /[\x00-\x20#%/:<>?@[\\\]^|\x7f]/;
const DECIMAL_BYTE = /^(?:0|[1-9]\d{0,2})$/;

/** The host as it is written in a URL, or null. */
export function parseHost(text, special) {
  if (PLAIN.test(text) && !text.includes("xn--")) return text;
  if (text.startsWith("[")) {
    const pieces = text.endsWith("]") ? parseIPv6(text.slice(1, -1)) : null;
    return pieces === null ? null : `[${serializeIPv6(pieces)}]`;
  }
  if (!special) return FORBIDDEN.test(text) ? null : percentEncode(text, C0_CONTROL);
  const domain = domainToASCII(percentDecode(text));
  if (domain === null || domain === "" || FORBIDDEN_IN_DOMAIN.test(domain)) return null;
  if (!endsInNumber(domain)) return domain;
  const address = parseIPv4(domain);
  return address === null ? null : serializeIPv4(address);
}

function endsInNumber(domain) {
  const parts = domain.split(".");
  if (parts.at(-1) === "" && parts.length > 1) parts.pop();
  return /^(?:\d+|0x[\da-f]*)$/i.test(parts.at(-1));
}

function parseIPv4(text) {
  const parts = text.split(".");
  if (parts.at(-1) === "" && parts.length > 1) parts.pop();
  if (parts.length > 4) return null;
  const numbers = parts.map(parseIPv4Number);
  const last = numbers.pop();
  if (numbers.some((number) => !(number <= 255)) || !(last < 256 ** (4 - numbers.length))) return null;
  return numbers.reduce((sum, number, i) => sum + number * 256 ** (3 - i), last);
}

function parseIPv4Number(text) {
  if (/^0x[\da-f]*$/i.test(text)) return text.length === 2 ? 0 : Number.parseInt(text.slice(2), 16);
  if (/^0[0-7]+$/.test(text)) return Number.parseInt(text, 8);
  return /^(?:0|[1-9]\d*)$/.test(text) ? Number(text) : NaN;
}

const serializeIPv4 = (address) => [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");

function parseIPv6(text) {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const written = [...head, ...(tail ?? [])];
  const dotted = written.at(-1)?.includes(".") ? written.pop() : undefined;
  const pieces = written.map((piece) => (/^[\da-f]{1,4}$/i.test(piece) ? Number.parseInt(piece, 16) : NaN));
  if (dotted !== undefined) {
    // Two numbers, and not before the gap.
    if (tail?.length === 0) return null;
    pieces.push(...dottedPieces(dotted));
  }
  if (pieces.some(Number.isNaN)) return null;
  if (tail === undefined) return pieces.length === 8 ? pieces : null;
  if (pieces.length > 7) return null;
  return [...pieces.slice(0, head.length), ...Array(8 - pieces.length).fill(0), ...pieces.slice(head.length)];
}

function dottedPieces(text) {
  const bytes = text.split(".").map((part) => (DECIMAL_BYTE.test(part) && part <= 255 ? Number(part) : NaN));
  return bytes.length === 4 ? [bytes[0] * 256 + bytes[1], bytes[2] * 256 + bytes[3]] : [NaN];
}

function serializeIPv6(pieces) {
  const text = pieces.map((piece) => piece.toString(16)).join(":");
  const gaps = [...text.matchAll(/(?<![^:])0(?::0)+(?![^:])/g)];
  if (gaps.length === 0) return text;
  const longest = gaps.reduce((best, gap) => (gap[0].length > best[0].length ? gap : best));
  const before = text.slice(0, Math.max(0, longest.index - 1));
  return `${before}::${text.slice(longest.index + longest[0].length + 1)}`;
}
