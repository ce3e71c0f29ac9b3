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

const PARTS = /^([A-Za-z][A-Za-z0-9+.-]*:)?(\/\/)?([\s\S]*)$/;
const WITH_SLASHES = new Set(["http:", "https:", "ftp:", "gopher:", "file:", "ws:", "wss:"]);

export function Url() {
  for (const name of NAMES) this[name] = null;
}
const NAMES = [
  "protocol", "slashes", "auth", "host", "port", "hostname", "hash", "search", "query", "pathname", "path", "href",
];

/** A URL in parts, as it was before there was `URL`: relative ones, too. */
export function parse(text, withQuery = false, slashesMeanHost = false) {
  if (text instanceof Url) return text;
  requireString(text, "url");
  const found = new Url();
  const [, protocol, slashes, rest] = PARTS.exec(text.trim());
  let left = rest;
  if (protocol !== undefined) found.protocol = protocol.toLowerCase();
  if (slashes !== undefined && (protocol !== undefined || slashesMeanHost)) {
    found.slashes = true;
    const end = left.search(/[/?#\\]/);
    takeHost(found, end < 0 ? left : left.slice(0, end));
    left = end < 0 ? "" : left.slice(end);
  } else if (slashes !== undefined) left = slashes + left;
  const hash = left.indexOf("#");
  if (hash >= 0) [left, found.hash] = [left.slice(0, hash), left.slice(hash)];
  const search = left.indexOf("?");
  if (search >= 0) [left, found.search] = [left.slice(0, search), left.slice(search)];
  if (found.slashes && WITH_SLASHES.has(found.protocol)) left = left.replaceAll("\\", "/").replace(/^\/?/, "/");
  found.pathname = left === "" ? null : escaped(left);
  if (withQuery) {
    found.search ??= "";
    found.query = querystring.parse(found.search.slice(1));
  } else if (found.search !== null) found.query = found.search.slice(1);
  if (found.pathname !== null || found.search) found.path = (found.pathname ?? "") + (found.search ?? "");
  found.href = found.format();
  return found;
}

const escaped = (text) => text.replace(/[\s"<>^`{|}]/g, encodeURIComponent);

function takeHost(found, authority) {
  const at = authority.lastIndexOf("@");
  if (at >= 0) found.auth = decodeURIComponent(authority.slice(0, at));
  const [, name, port] = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?/.exec(authority.slice(at + 1));
  if (port) found.port = port;
  found.hostname = (name.startsWith("[") ? name.slice(1, -1) : name).toLowerCase();
  found.host = name.toLowerCase() + (port ? `:${port}` : "");
}

Url.prototype.format = function () {
  const protocol = this.protocol ? (this.protocol.endsWith(":") ? this.protocol : `${this.protocol}:`) : "";
  const auth = this.auth ? `${encodeURIComponent(this.auth).replace("%3A", ":")}@` : "";
  let host = null;
  if (this.host) host = auth + this.host;
  else if (this.hostname) {
    const name = this.hostname.includes(":") ? `[${this.hostname}]` : this.hostname;
    host = auth + name + (this.port ? `:${this.port}` : "");
  }
  const query = this.query !== null && typeof this.query === "object" ? querystring.stringify(this.query) : "";
  let search = this.search || (query && `?${query}`) || "";
  let pathname = this.pathname ?? "";
  const slashes = this.slashes || ((protocol === "" || WITH_SLASHES.has(protocol)) && host !== null) ? "//" : "";
  if (slashes !== "" && pathname !== "" && !pathname.startsWith("/")) pathname = `/${pathname}`;
  if (search !== "" && !search.startsWith("?")) search = `?${search}`;
  const hash = this.hash ? (this.hash.startsWith("#") ? this.hash : `#${this.hash}`) : "";
  pathname = pathname.replace(/[?#]/g, encodeURIComponent);
  return protocol + slashes + (host ?? "") + pathname + search.replaceAll("#", "%23") + hash;
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
  return url.href;
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
