// Percent-encoding (https://url.spec.whatwg.org/#percent-encoded-bytes). A set is a regular expression that finds
// runs of what has to be encoded; mostly there is none, and then the text is the answer.

import { decode, encode } from "pyworkerd:web/utf8";

export const C0_CONTROL = /[^\x20-\x7e]+/g;
export const FRAGMENT = /[^\x21\x23-\x3b\x3d\x3f-\x5f\x61-\x7e]+/g; // and space " < > `
export const QUERY = /[^\x21\x24-\x3b\x3d\x3f-\x7e]+/g; // and space " # < >
export const SPECIAL_QUERY = /[^\x21\x24-\x26\x28-\x3b\x3d\x3f-\x7e]+/g; // and '
export const PATH = /[^\x21\x24-\x3b\x3d\x40-\x5d\x5f\x61-\x7a\x7c\x7e]+/g; // the query's and ? ^ ` { }
export const USERINFO = /[^\x21\x24-\x2e\x30-\x39\x41-\x5a\x5f\x61-\x7a\x7e]+/g; // the path's and / : ; = @ [ \ ] ^ |

const hex = (byte) => `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
const encodeOne = (c) => hex(c.charCodeAt(0));
const encodeRun = (run) => encodeURIComponent(run.toWellFormed()).replace(/[!'()*~]/g, encodeOne);

/** The text with all that is in the set percent-encoded as UTF-8. */
export function percentEncode(text, set) {
  set.lastIndex = 0;
  return set.test(text) ? text.replace(set, encodeRun) : text;
}

/** The text with its percent-encoded bytes decoded, and what is then no UTF-8 as U+FFFD. */
export function percentDecode(text) {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return decode(percentDecodeBytes(text));
  }
}

/** The bytes of a text as UTF-8, with its percent-encoded bytes decoded. */
export function percentDecodeBytes(text) {
  const bytes = encode(text);
  let size = 0;
  for (let i = 0; i < bytes.length; i += 1) {
    let byte = bytes[i];
    if (byte === 0x25 && i + 2 < bytes.length) {
      const high = digit(bytes[i + 1]);
      const low = digit(bytes[i + 2]);
      if (high >= 0 && low >= 0) {
        byte = high * 16 + low;
        i += 2;
      }
    }
    bytes[size++] = byte;
  }
  return bytes.subarray(0, size);
}

function digit(code) {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** As application/x-www-form-urlencoded has it. */
export function formEncode(text) {
  return encodeURIComponent(text).replace(/%20|[!'()~]/g, formByte);
}
const formByte = (found) => (found === "%20" ? "+" : hex(found.charCodeAt(0)));

/** What `formEncode` made, undone. */
export const formDecode = (text) => percentDecode(text.includes("+") ? text.replaceAll("+", " ") : text);
