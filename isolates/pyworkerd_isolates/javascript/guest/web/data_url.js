// What a data: URL holds (https://fetch.spec.whatwg.org/#data-url-processor).

import { parseMime, serializeMime } from "pyworkerd:web/mime";
import { percentDecodeBytes } from "pyworkerd:web/percent";
import { fromCodes } from "pyworkerd:web/utf8";

const BASE64 = /; *base64$/i;

/** { type, bytes } of a serialized URL that begins with `data:`; null where it has no comma, or no base64 that can be
 *  read. */
export function readDataURL(url) {
  const text = url.replace(/#.*$/s, "").slice("data:".length);
  const comma = text.indexOf(",");
  if (comma < 0) return null;
  let type = text.slice(0, comma).replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, "");
  let bytes = percentDecodeBytes(text.slice(comma + 1));
  if (BASE64.test(type)) {
    try {
      const inner = atob(fromCodes(bytes));
      bytes = Uint8Array.from({ length: inner.length }, (_, place) => inner.charCodeAt(place));
    } catch {
      return null;
    }
    type = type.replace(BASE64, "");
  }
  const parsed = parseMime(type.startsWith(";") ? `text/plain${type}` : type);
  return { type: parsed === null ? "text/plain;charset=US-ASCII" : serializeMime(parsed), bytes };
}
