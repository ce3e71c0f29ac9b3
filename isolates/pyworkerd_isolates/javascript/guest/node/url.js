// The module "node:url" (https://nodejs.org/api/url.html), with its older functions.

import { coded, invalidType, requireString } from "pyworkerd:node_parts/errors";
import { toUnicode } from "pyworkerd:node/punycode";
import querystring from "pyworkerd:node/querystring";

const { URL, URLSearchParams, URLPattern } = globalThis;

export function fileURLToPath(value) {
  const url = typeof value === "string" ? new URL(value) : value;
  if (!(url instanceof URL)) throw invalidType("path", "of type string or an instance of URL", value);
  if (url.protocol !== "file:") throw coded(TypeError, "ERR_INVALID_URL_SCHEME", "The URL must be of scheme file");
  if (url.hostname !== "") {
    throw coded(TypeError, "ERR_INVALID_FILE_URL_HOST", 'File URL host must be "localhost" or empty on linux');
  }
  if (/%2f/i.test(url.pathname)) {
    throw coded(TypeError, "ERR_INVALID_FILE_URL_PATH", "File URL path must not include encoded / characters");
  }
  return decodeURIComponent(url.pathname);
}

const KEPT = { "%": "%25", "\\": "%5C", "\n": "%0A", "\r": "%0D", "\t": "%09", "?": "%3F", "#": "%23" };

export function pathToFileURL(path) {
  requireString(path, "path");
  const absolute = path.startsWith("/") ? path : `/${path}`;
  return new URL(`file://${absolute.replace(/[%\\\n\r\t?#]/g, (each) => KEPT[each])}`);
}

export function urlToHttpOptions(url) {
  const { hostname, pathname, search } = url;
  const options = {
    ...url,
    protocol: url.protocol,
    hostname: hostname.startsWith("[") ? hostname.slice(1, -1) : hostname,
    hash: url.hash, search, pathname, path: `${pathname}${search}`, href: url.href,
  };
  if (url.port !== "") options.port = Number(url.port);
  if (url.username || url.password) {
    options.auth = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  }
  return options;
}

export function domainToASCII(domain) {
  try {
    return new URL(`ws://${domain}`).hostname;
  } catch {
    return "";
  }
}

export function domainToUnicode(domain) {
  return toUnicode(domainToASCII(domain));
}

const PROTOCOL = /^[a-z0-9.+-]+:/i;
const WITH_SLASHES = new Set(["http:", "https:", "ftp:", "gopher:", "file:", "ws:", "wss:"]);
const WITHOUT_HOST = "javascript:";
const MOST_OF_HOST = 255;
const NO_HOST = /[\0\t\n\r #%/:<>?@[\\\]^|]/;
const NO_ADDRESS = /[\0\t\n\r #%/<>?@\\^|]/;
const PATH = /^\/\/?(?!\/)[^?\s]*(\?[^\s]*)?$/; // what is not escaped there
const ESCAPED = /[\t\n\r "'<>\\^`{|}]/g;

export function Url() {
  for (const name of NAMES) this[name] = null;
}
const NAMES = [
  "protocol", "slashes", "auth", "host", "port", "hostname", "hash", "search", "query", "pathname", "path", "href",
];

/** A URL in parts, as it was before there was `URL`: relative ones, too. What ends a host ends it here as in Node.js:
 * programs look at hosts to tell whom they trust. */
export function parse(text, withQuery = false, slashesMeanHost = false) {
  if (text instanceof Url) return text;
  requireString(text, "url");
  const found = new Url();
  let left = trimmed(text).replace(/^[^?#]+/, (before) => before.replaceAll("\\", "/"));
  const isPath = !slashesMeanHost && !/^[^?]*@|#/.test(left) && PATH.test(left);
  const protocol = PROTOCOL.exec(left)?.[0];
  if (protocol !== undefined) {
    found.protocol = protocol.toLowerCase();
    left = left.slice(protocol.length);
  }
  const maySlash = slashesMeanHost || protocol !== undefined || /^\/\/[^@/]+@[^@/]+/.test(left);
  if (maySlash && !isPath && left.startsWith("//") && found.protocol !== WITHOUT_HOST) {
    left = left.slice(2);
    found.slashes = true;
  }
  // In capitals such a protocol is none of these there.
  const isOther = protocol !== undefined && !WITH_SLASHES.has(protocol) && found.protocol !== WITHOUT_HOST;
  if (found.slashes || isOther) left = takeHost(found, left, text);
  if (found.protocol !== WITHOUT_HOST && !isPath) left = left.replace(ESCAPED, (each) => KEPT[each] ?? percent(each));
  const hash = left.indexOf("#");
  if (hash >= 0) [left, found.hash] = [left.slice(0, hash), left.slice(hash)];
  const search = left.indexOf("?");
  if (search >= 0) [left, found.search] = [left.slice(0, search), left.slice(search)];
  if (found.search !== null) found.query = found.search.slice(1);
  if (withQuery) found.query = querystring.parse(found.query ?? "");
  if (left !== "") found.pathname = left;
  else if (WITH_SLASHES.has(found.protocol) && found.hostname) found.pathname = "/";
  if (found.pathname !== null || found.search !== null) found.path = (found.pathname ?? "") + (found.search ?? "");
  found.href = found.format();
  return found;
}

const BLANKS = new Set("\t\n\f\r \u00a0\ufeff");

function trimmed(text) {
  let [from, to] = [0, text.length];
  while (to > 0 && BLANKS.has(text[to - 1])) to -= 1;
  while (from < to && BLANKS.has(text[from])) from += 1;
  return text.slice(from, to);
}

const percent = (each) => `%${each.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;

// Who and where; what is left after that.
function takeHost(found, text, whole) {
  const [, before] = /^([^/?#]*)/.exec(text);
  const after = text.slice(before.length);
  const authority = before.replace(/[\t\n\r]/g, "");
  const at = authority.lastIndexOf("@");
  if (at >= 0) found.auth = decodeURIComponent(authority.slice(0, at));
  const rest = authority.slice(at + 1);
  const end = rest.search(/[ "%';<>\\^`{|}]/);
  let [name, left] = end < 0 ? [rest, after] : [rest.slice(0, end), rest.slice(end) + after];
  const [port] = /:[0-9]*$/.exec(name) ?? [""];
  if (port.length > 1) found.port = port.slice(1);
  name = name.slice(0, name.length - port.length);
  const isAddress = name.startsWith("[") && name.endsWith("]");
  const colon = isAddress ? -1 : name.indexOf(":");
  if (colon >= 0) [name, left] = [name.slice(0, colon), `/${name.slice(colon)}${left}`];
  name = name.length > MOST_OF_HOST ? "" : name.toLowerCase();
  if (name !== "" && !isAddress && /[^\0-\x7f]|xn--/.test(name)) name = inAscii(name);
  if ((isAddress ? NO_ADDRESS : NO_HOST).test(name)) {
    throw Object.assign(coded(TypeError, "ERR_INVALID_URL", "Invalid URL"), { input: whole });
  }
  found.host = name + (found.port === null ? "" : `:${found.port}`);
  found.hostname = isAddress ? name.slice(1, -1) : name;
  return isAddress && !left.startsWith("/") ? `/${left}` : left;
}

// As DNS has it: "%" of what it cannot have. A number stays one; alone it would become an address.
function inAscii(name) {
  return domainToASCII(`${name}.a`).slice(0, -2) || "%";
}

Url.prototype.format = function () {
  const protocol = this.protocol ? (this.protocol.endsWith(":") ? this.protocol : `${this.protocol}:`) : "";
  const auth = this.auth ? `${encodeURIComponent(this.auth).replaceAll("%3A", ":")}@` : "";
  let host = "";
  if (this.host) host = auth + this.host;
  else if (this.hostname) {
    const isAddress = this.hostname.includes(":") && !this.hostname.startsWith("[");
    host = auth + (isAddress ? `[${this.hostname}]` : this.hostname) + (this.port ? `:${this.port}` : "");
  }
  const query = this.query !== null && typeof this.query === "object" ? querystring.stringify(this.query) : "";
  let search = this.search || (query && `?${query}`) || "";
  let pathname = this.pathname ?? "";
  if (this.slashes || (WITH_SLASHES.has(protocol) && (host !== "" || protocol === "file:"))) {
    if (pathname !== "" && !pathname.startsWith("/") && (this.slashes || host !== "")) pathname = `/${pathname}`;
    host = `//${host}`;
  }
  if (search !== "" && !search.startsWith("?")) search = `?${search}`;
  const hash = this.hash ? (this.hash.startsWith("#") ? this.hash : `#${this.hash}`) : "";
  pathname = pathname.replace(/[?#]/g, encodeURIComponent);
  return protocol + host + pathname + search.replaceAll("#", "%23") + hash;
};

Url.prototype.resolve = function (relative) {
  return resolve(this.format(), relative);
};

export function format(value, options = undefined) {
  if (typeof value === "string") return parse(value).format();
  if (!(value instanceof URL)) {
    if (value === null || typeof value !== "object") {
      throw invalidType("urlObject", "one of type object or string", value);
    }
    return Url.prototype.format.call(value);
  }
  const url = new URL(value);
  if (options?.fragment === false) url.hash = "";
  if (options?.search === false) url.search = "";
  if (options?.auth === false) url.username = url.password = "";
  return options?.unicode ? url.href.replace(url.hostname, () => toUnicode(url.hostname)) : url.href;
}

const BASE = "resolve://base.invalid";

export function resolve(from, to) {
  const found = new URL(to, new URL(from, `${BASE}/`));
  if (found.protocol !== "resolve:") return found.href;
  const isPath = found.host === "base.invalid";
  return isPath ? `${found.pathname}${found.search}${found.hash}` : found.href.slice("resolve:".length);
}

export { URL, URLPattern, URLSearchParams };
export default {
  URL, URLPattern, URLSearchParams, Url, fileURLToPath, pathToFileURL, urlToHttpOptions, domainToASCII,
  domainToUnicode, parse, format, resolve,
};
