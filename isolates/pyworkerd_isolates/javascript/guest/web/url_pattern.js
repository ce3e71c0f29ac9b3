// URLPattern (https://urlpattern.spec.whatwg.org/#urlpattern-class).

import { dictionary, expose, scalarString } from "pyworkerd:web/idl";
import { CANONICAL, COMPONENTS, processInit } from "pyworkerd:web/pattern_init";
import { parseParts, patternOf, regExpOf } from "pyworkerd:web/pattern_parts";
import { parseConstructorString } from "pyworkerd:web/pattern_string";
import { URL, parseURL } from "pyworkerd:web/url";
import { SPECIAL } from "pyworkerd:web/url_parser";

const PLAIN = { delimiter: "", prefix: "" };
const HOST = { delimiter: ".", prefix: "" };
const PATH = { delimiter: "/", prefix: "/" };

// The standard's expressions are of mode `v`, which the engine does not have; `u` is the same but for sets in classes.
const SETS = /(?:^|[^\\])(?:\\\\)*\[(?:[^\]\\]|\\.)*?(?:\[|--|&&)/;

function compile(input, canonical, options, ignoreCase = false) {
  const parts = parseParts(input, options, (text) => (text === "" ? "" : canonical(text)));
  if (parts.some(({ type, value }) => type === "regexp" && SETS.test(value))) {
    throw new TypeError(`Invalid pattern '${input}': sets of characters inside of classes are not supported here.`);
  }
  let regexp;
  try {
    regexp = new RegExp(regExpOf(parts, options), ignoreCase ? "ui" : "u");
  } catch (error) {
    throw new TypeError(`Invalid pattern '${input}': ${error.message}.`);
  }
  return {
    pattern: patternOf(parts, options),
    regexp,
    names: parts.filter(({ type }) => type !== "fixed").map(({ name }) => name),
    hasGroups: parts.some(({ type }) => type === "regexp"),
  };
}

const compileProtocol = (input) => compile(input, CANONICAL.protocol, PLAIN);
const matchesSpecial = ({ regexp }) => Object.keys(SPECIAL).some((scheme) => regexp.test(scheme));

function compileAll(input, base, ignoreCase) {
  let init;
  if (typeof input === "object" && input !== null) {
    if (base !== undefined) throw new TypeError("URLPattern constructor: a base URL is for patterns that are text.");
    init = input;
  } else {
    init = parseConstructorString(scalarString(input), (protocol) => matchesSpecial(compileProtocol(protocol)));
    if (base === undefined && init.protocol === undefined) {
      throw new TypeError(`Invalid pattern '${input}': it is relative, and has no base URL.`);
    }
    if (base !== undefined) init.baseURL = base;
  }
  const given = processInit(init, true, undefined);
  for (const name of COMPONENTS) given[name] ??= "*";
  if (given.protocol in SPECIAL && given.port === `${SPECIAL[given.protocol]}`) given.port = "";
  const protocol = compileProtocol(given.protocol);
  const special = matchesSpecial(protocol);
  const host = /^(?:[{\\]?\[)/.test(given.hostname) ? "addressV6" : special ? "domain" : "hostname";
  const path = special
    ? compile(given.pathname, CANONICAL.pathname, PATH, ignoreCase)
    : compile(given.pathname, CANONICAL.opaquePathname, PLAIN, ignoreCase);
  return {
    protocol,
    username: compile(given.username, CANONICAL.username, PLAIN),
    password: compile(given.password, CANONICAL.password, PLAIN),
    hostname: compile(given.hostname, CANONICAL[host], HOST),
    port: compile(given.port, CANONICAL.port, PLAIN),
    pathname: path,
    search: compile(given.search, CANONICAL.search, PLAIN, ignoreCase),
    hash: compile(given.hash, CANONICAL.hash, PLAIN, ignoreCase),
  };
}

// The components of what is matched, or null where it is no URL.
function componentsOf(input, base) {
  if (typeof input === "object" && input !== null && !(input instanceof URL)) {
    if (base !== undefined) throw new TypeError("URLPattern: a base URL is for inputs that are text.");
    try {
      return processInit(input, false, "");
    } catch {
      return null;
    }
  }
  const record = parseURL(input, base);
  if (record === null) return null;
  return {
    protocol: record.scheme,
    username: record.username,
    password: record.password,
    hostname: record.host ?? "",
    port: record.port === null ? "" : `${record.port}`,
    pathname: record.path,
    search: record.query ?? "",
    hash: record.fragment ?? "",
  };
}

export class URLPattern {
  #components;

  constructor(input = {}, baseOrOptions = undefined, options = undefined) {
    const isBase = baseOrOptions !== undefined && baseOrOptions !== null && typeof baseOrOptions !== "object";
    const base = isBase ? scalarString(baseOrOptions) : undefined;
    const { ignoreCase } = dictionary(isBase ? options : baseOrOptions, "URLPattern constructor");
    this.#components = compileAll(input, base, Boolean(ignoreCase));
  }

  test(input = {}, baseURL = undefined) {
    const found = componentsOf(input, baseURL);
    return found !== null && COMPONENTS.every((name) => this.#components[name].regexp.test(found[name]));
  }

  exec(input = {}, baseURL = undefined) {
    const found = componentsOf(input, baseURL);
    const result = { inputs: baseURL === undefined ? [input] : [input, baseURL] };
    if (found === null) return null;
    for (const name of COMPONENTS) {
      const { regexp, names } = this.#components[name];
      const match = regexp.exec(found[name]);
      if (match === null) return null;
      result[name] = { input: found[name], groups: Object.fromEntries(names.map((key, i) => [key, match[i + 1]])) };
    }
    return result;
  }

  get protocol() { return this.#components.protocol.pattern; }
  get username() { return this.#components.username.pattern; }
  get password() { return this.#components.password.pattern; }
  get hostname() { return this.#components.hostname.pattern; }
  get port() { return this.#components.port.pattern; }
  get pathname() { return this.#components.pathname.pattern; }
  get search() { return this.#components.search.pattern; }
  get hash() { return this.#components.hash.pattern; }
  get hasRegExpGroups() { return COMPONENTS.some((name) => this.#components[name].hasGroups); }
}
Object.defineProperty(URLPattern, "length", { value: 0, configurable: true });
expose(URLPattern);
