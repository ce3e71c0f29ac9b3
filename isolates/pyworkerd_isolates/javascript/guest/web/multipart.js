// multipart/form-data (RFC 7578; https://html.spec.whatwg.org/#multipart-form-data).

import { blobBytes, makeFile } from "pyworkerd:web/blob";
import { concatenate, decode, encode } from "pyworkerd:web/utf8";
import { fill } from "pyworkerd:system";

const PREFIX = "----pyworkerd-form-";
const BREAKS = /\r\n?|\n/g;
const ESCAPES = { "\n": "%0A", "\r": "%0D", '"': "%22" };
const UNESCAPES = { "%0A": "\n", "%0D": "\r", "%22": '"' };

const escapeName = (text) => text.replace(/[\n\r"]/g, (c) => ESCAPES[c]);

/** [bytes, boundary] of a form. The boundary is random, so no value can contain it on purpose. */
export function encodeMultipart(list) {
  const noise = new Uint8Array(16);
  fill(noise);
  const boundary = PREFIX + noise.toHex();
  const pieces = [];
  let size = 0;
  const add = (piece) => {
    pieces.push(piece);
    size += piece.length;
  };
  for (const [name, value] of list) {
    const bytes = blobBytes(value);
    const key = escapeName(name.replace(BREAKS, "\r\n"));
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${key}"`;
    if (bytes === undefined) {
      add(encode(`${head}\r\n\r\n${value.replace(BREAKS, "\r\n")}\r\n`));
    } else {
      const type = value.type || "application/octet-stream";
      add(encode(`${head}; filename="${escapeName(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`));
      add(bytes);
      add(encode("\r\n"));
    }
  }
  add(encode(`--${boundary}--\r\n`));
  return [concatenate(pieces, size), boundary];
}

const malformed = (what) => new TypeError(`The multipart body cannot be read: ${what}.`);

/** The [name, value] pairs of a body; a TypeError where it is none. */
export function parseMultipart(bytes, boundary) {
  const binary = atob(bytes.toBase64()); // a character for each byte, so that searching is native
  const delimiter = `--${boundary}`;
  const list = [];
  let position = binary.startsWith(delimiter) ? 0 : binary.indexOf(`\r\n${delimiter}`) + 2;
  if (position < 2 && !binary.startsWith(delimiter)) throw malformed("it does not begin with its boundary");
  for (;;) {
    position += delimiter.length;
    if (binary.startsWith("--", position)) return list;
    const lineEnd = binary.indexOf("\r\n", position);
    if (lineEnd < 0 || binary.slice(position, lineEnd).trim() !== "") throw malformed("a boundary is not a line");
    const headEnd = binary.indexOf("\r\n\r\n", lineEnd);
    if (headEnd < 0) throw malformed("a part has no end of its headers");
    const end = binary.indexOf(`\r\n${delimiter}`, headEnd + 2);
    if (end < 0) throw malformed("it ends before its last boundary");
    const head = decode(bytes.subarray(lineEnd + 2, headEnd));
    list.push(part(head, bytes.subarray(Math.min(headEnd + 4, end), end)));
    position = end + 2;
  }
}

function part(head, content) {
  let name;
  let filename;
  let type = "text/plain";
  for (const line of head.split("\r\n")) {
    const colon = line.indexOf(":");
    const key = line.slice(0, colon).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (key === "content-type") type = value;
    if (key !== "content-disposition" || !/^form-data\b/i.test(value)) continue;
    name = parameter(value, "name");
    filename = parameter(value, "filename");
  }
  if (name === undefined) throw malformed("a part has no name");
  if (filename !== undefined) return [name, makeFile(content.slice(), filename, type)];
  const text = decode(content);
  return [name, text.charCodeAt(0) === 0xfeff ? text.slice(1) : text];
}

const PARAMETER = { name: /;\s*name=(?:"([^"]*)"|([^\s;]*))/i, filename: /;\s*filename=(?:"([^"]*)"|([^\s;]*))/i };

function parameter(value, name) {
  const found = PARAMETER[name].exec(value);
  if (found === null) return undefined;
  return (found[1] ?? found[2]).replace(/%0A|%0D|%22/gi, (escape) => UNESCAPES[escape.toUpperCase()]);
}
