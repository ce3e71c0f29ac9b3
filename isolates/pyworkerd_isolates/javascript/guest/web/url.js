// URL (https://url.spec.whatwg.org/#url-class).

import { expose, requireArguments, scalarString } from "pyworkerd:web/idl";
import { parseHost } from "pyworkerd:web/url_host";
import {
  SPECIAL, encodeFragment, encodeQuery, encodeUser, isSpecial, parse, serialize, setPort, splitPort, withPath,
} from "pyworkerd:web/url_parser";
import { attachedParams, resetParams } from "pyworkerd:web/search_params";

const OPAQUE_ORIGIN = "null";

/** The record of a URL that is given as text or as an object, or null. */
export function parseURL(url, base = undefined) {
  const input = scalarString(url);
  if (base === undefined) return parse(input, null);
  const parsedBase = parse(scalarString(base), null);
  return parsedBase === null ? null : parse(input, parsedBase);
}

function originOf(record) {
  if (record.scheme === "blob") {
    const inner = parse(record.path, null);
    return inner?.scheme === "http" || inner?.scheme === "https" ? originOf(inner) : OPAQUE_ORIGIN;
  }
  if (!isSpecial(record) || record.scheme === "file") return OPAQUE_ORIGIN;
  return `${record.scheme}://${record.host}${record.port === null ? "" : `:${record.port}`}`;
}

const mayHaveUser = (record) => record.host !== null && record.host !== "" && record.scheme !== "file";
const withoutBreaks = (text) => text.replace(/[\t\n\r]/g, "");

export class URL {
  #record;
  #params = null;

  constructor(url, base = undefined) {
    if (url === undefined) requireArguments(arguments.length, 1, "URL constructor");
    const record = parseURL(url, base);
    if (record === null) {
      const error = new TypeError("Invalid URL");
      error.code = "ERR_INVALID_URL";
      error.input = `${url}`;
      if (base !== undefined) error.base = `${base}`;
      throw error;
    }
    this.#record = record;
  }

  static parse(url, base = undefined) {
    requireArguments(arguments.length, 1, "'parse' on 'URL'");
    return parseURL(url, base) === null ? null : new URL(url, base);
  }

  static canParse(url, base = undefined) {
    requireArguments(arguments.length, 1, "'canParse' on 'URL'");
    return parseURL(url, base) !== null;
  }

  get href() { return serialize(this.#record); }
  set href(value) {
    const record = parse(scalarString(value), null);
    if (record === null) throw new TypeError("Invalid URL");
    this.#record = record;
    if (this.#params !== null) resetParams(this.#params, record.query ?? "");
  }

  get origin() { return originOf(this.#record); }

  get protocol() { return `${this.#record.scheme}:`; }
  set protocol(value) {
    const record = this.#record;
    const text = `${withoutBreaks(scalarString(value))}:`;
    const scheme = /^[A-Za-z][A-Za-z0-9+.-]*(?=:)/.exec(text)?.[0].toLowerCase();
    if (scheme === undefined || scheme in SPECIAL !== isSpecial(record)) return;
    const hasPlace = record.username !== "" || record.password !== "" || record.port !== null;
    if ((scheme === "file" && hasPlace) || (record.scheme === "file" && record.host === "")) return;
    record.scheme = scheme;
    if (record.port === SPECIAL[scheme]) record.port = null;
  }

  get username() { return this.#record.username; }
  set username(value) {
    const text = scalarString(value);
    if (mayHaveUser(this.#record)) this.#record.username = encodeUser(text);
  }

  get password() { return this.#record.password; }
  set password(value) {
    const text = scalarString(value);
    if (mayHaveUser(this.#record)) this.#record.password = encodeUser(text);
  }

  get host() {
    const { host, port } = this.#record;
    return host === null ? "" : port === null ? host : `${host}:${port}`;
  }
  set host(value) { this.#setHost(scalarString(value), true); }

  get hostname() { return this.#record.host ?? ""; }
  set hostname(value) { this.#setHost(scalarString(value), false); }

  #setHost(value, mayHavePort) {
    const record = this.#record;
    if (record.opaque) return;
    const special = isSpecial(record);
    const text = withoutBreaks(value).split(special ? /[/\\?#]/ : /[/?#]/, 1)[0];
    if (record.scheme === "file") {
      const host = text === "" ? "" : parseHost(text, true);
      if (host !== null && !/^[A-Za-z][:|]$/.test(text)) record.host = host === "localhost" ? "" : host;
      return;
    }
    const [name, port] = splitPort(text);
    if (port !== null && (name === "" || !mayHavePort)) return;
    const hasPlace = record.username !== "" || record.password !== "" || record.port !== null;
    if (name === "" && (special || hasPlace)) return;
    const host = name === "" ? "" : parseHost(name, special);
    if (host === null) return;
    record.host = host;
    if (port !== null) setPort(record, port, /^\d+/);
  }

  get port() { return this.#record.port === null ? "" : `${this.#record.port}`; }
  set port(value) {
    const text = scalarString(value);
    if (!mayHaveUser(this.#record)) return;
    if (text === "") this.#record.port = null;
    else setPort(this.#record, withoutBreaks(text), /^\d+/);
  }

  get pathname() { return this.#record.path; }
  set pathname(value) {
    const record = this.#record;
    const text = withoutBreaks(scalarString(value));
    if (record.opaque) return;
    const special = isSpecial(record);
    if (text === "" && !special) record.path = record.host === null ? "/" : "";
    else withPath(record, [], text.replace(special ? /^[/\\]/ : /^\//, ""));
  }

  get search() { return this.#record.query ? `?${this.#record.query}` : ""; }
  set search(value) {
    const text = scalarString(value);
    const query = text.startsWith("?") ? text.slice(1) : text;
    this.#record.query = text === "" ? null : encodeQuery(this.#record, query);
    if (this.#params !== null) resetParams(this.#params, this.#record.query ?? "");
  }

  get searchParams() {
    const update = (text) => { this.#record.query = text === "" ? null : text; };
    return (this.#params ??= attachedParams(this.#record.query ?? "", update));
  }

  get hash() { return this.#record.fragment ? `#${this.#record.fragment}` : ""; }
  set hash(value) {
    const text = scalarString(value);
    const fragment = text.startsWith("#") ? text.slice(1) : text;
    this.#record.fragment = text === "" ? null : encodeFragment(fragment);
  }

  toString() { return serialize(this.#record); }
  toJSON() { return serialize(this.#record); }
}
expose(URL);
