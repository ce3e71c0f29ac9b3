// The components of patterns and of what is matched: canonical forms, and what a base gives
// (https://urlpattern.spec.whatwg.org/#canon).

import { scalarString } from "pyworkerd:web/idl";
import { escapePattern } from "pyworkerd:web/pattern_parts";
import { C0_CONTROL, percentEncode } from "pyworkerd:web/percent";
import { URL } from "pyworkerd:web/url";
import { parseHost } from "pyworkerd:web/url_host";
import { SPECIAL, encodeFragment, encodeQuery, encodeUser, parse, withPath } from "pyworkerd:web/url_parser";

export const COMPONENTS = ["protocol", "username", "password", "hostname", "port", "pathname", "search", "hash"];

const DUMMY = { scheme: "https" };
const invalid = (name, value) => new TypeError(`Invalid ${name} '${value}'.`);

function protocol(value) {
  const record = value === "" ? null : parse(`${value}://dummy.invalid/`, null);
  if (value !== "" && record === null) throw invalid("protocol", value);
  return record?.scheme ?? "";
}

function hostOf(value, special) {
  const text = value.replace(/[\t\n\r]/g, "");
  if (text === "") return "";
  const name = text.split(special ? /[/?#\\]/ : /[/?#]/, 1)[0];
  const host = name === "" || /:(?![^[]*\])/.test(name) ? null : parseHost(name, special);
  if (host === null) throw invalid("hostname", value);
  return host;
}

function addressV6(value) {
  if (!/^[\da-f[\]:]*$/i.test(value)) throw invalid("hostname", value);
  return value.toLowerCase();
}

function port(value, scheme) {
  const text = value.replace(/[\t\n\r]/g, "");
  if (text === "") return "";
  const digits = /^\d+/.exec(text)?.[0];
  if (digits === undefined || digits > 65535) throw invalid("port", value);
  return Number(digits) === SPECIAL[scheme] ? "" : `${Number(digits)}`;
}

function pathname(value) {
  if (value === "") return "";
  const text = value.replace(/[\t\n\r]/g, "");
  const absolute = text.startsWith("/");
  // What is relative must not lose its own first segment.
  const { path } = withPath({ ...DUMMY, path: "" }, [], absolute ? text.slice(1) : `-${text}`);
  return absolute ? path : path.slice(2);
}

const opaquePathname = (value) => percentEncode(value.replace(/[\t\n\r]/g, ""), C0_CONTROL);

/** Canonical forms of fixed text in patterns, by component. */
export const CANONICAL = {
  protocol,
  username: encodeUser,
  password: encodeUser,
  hostname: (value) => hostOf(value, false),
  domain: (value) => hostOf(value, true),
  addressV6,
  port: (value) => port(value, ""),
  pathname,
  opaquePathname,
  search: (value) => encodeQuery(DUMMY, value),
  hash: encodeFragment,
};

const without = (text, mark) => (text.startsWith(mark) ? text.slice(1) : text);
const isSpecialScheme = (scheme) => scheme === "" || scheme in SPECIAL;

// What is matched, in its canonical form. `scheme`: of the same URL.
const PROCESS = {
  protocol: (value) => protocol(value.replace(/:$/, "")),
  username: encodeUser,
  password: encodeUser,
  hostname: (value, scheme) => hostOf(value, isSpecialScheme(scheme)),
  port,
  pathname: (value, scheme) => (isSpecialScheme(scheme) ? pathname(value) : opaquePathname(value)),
  search: (value) => CANONICAL.search(without(value, "?")),
  hash: (value) => encodeFragment(without(value, "#")),
};

// Parts of a pattern are canonicalized when it is compiled; until then only what marks them is taken off.
const PATTERN = {
  protocol: (value) => value.replace(/:$/, ""),
  search: (value) => without(value, "?"),
  hash: (value) => without(value, "#"),
};

// Which given components keep the base from giving one.
const SHADOWS = {
  protocol: ["protocol"],
  username: ["protocol", "hostname", "port", "username"],
  password: ["protocol", "hostname", "port", "username", "password"],
  hostname: ["protocol", "hostname"],
  port: ["protocol", "hostname", "port"],
  pathname: ["protocol", "hostname", "port", "pathname"],
  search: ["protocol", "hostname", "port", "pathname", "search"],
  hash: ["protocol", "hostname", "port", "pathname", "search", "hash"],
};

const ofBase = {
  protocol: (url) => url.protocol.slice(0, -1),
  username: (url) => url.username,
  password: (url) => url.password,
  hostname: (url) => url.hostname,
  port: (url) => url.port,
  pathname: (url) => url.pathname,
  search: (url) => url.search.slice(1),
  hash: (url) => url.hash.slice(1),
};

/** The components that `init` gives, with those of its base. `initial`: what a component is without. A TypeError
 *  where one cannot be what it is given as. */
export function processInit(init, isPattern, initial) {
  const result = initial === undefined ? {} : Object.fromEntries(COMPONENTS.map((name) => [name, initial]));
  const given = {};
  for (const name of COMPONENTS) if (init[name] !== undefined) given[name] = scalarString(init[name]);
  const base = init.baseURL === undefined ? null : new URL(scalarString(init.baseURL));
  if (base !== null) {
    for (const name of COMPONENTS) {
      if (isPattern && (name === "username" || name === "password")) continue;
      if (SHADOWS[name].some((other) => other in given)) continue;
      const value = ofBase[name](base);
      result[name] = isPattern ? escapePattern(value) : value;
    }
  }
  for (const name of COMPONENTS) {
    if (!(name in given)) continue;
    let value = given[name];
    if (name === "pathname" && base !== null) value = resolved(value, base, isPattern);
    result[name] = isPattern ? (PATTERN[name]?.(value) ?? value) : PROCESS[name](value, result.protocol ?? "");
  }
  return result;
}

function resolved(path, base, isPattern) {
  const isOpaque = !base.pathname.startsWith("/");
  const isAbsolute = path.startsWith("/") || (isPattern && /^[\\{]\//.test(path));
  if (isOpaque || isAbsolute) return path;
  const basePath = isPattern ? escapePattern(base.pathname) : base.pathname;
  return basePath.slice(0, basePath.lastIndexOf("/") + 1) + path;
}
