// Patterns that are written as whole URLs, taken apart
// (https://urlpattern.spec.whatwg.org/#constructor-string-parsing).

import { tokenize } from "pyworkerd:web/pattern_parts";

const BEFORE_HOST = new Set(["protocol", "authority", "username", "password"]);
const BEFORE_PATH = new Set([...BEFORE_HOST, "hostname", "port"]);
const BEFORE_SEARCH = new Set([...BEFORE_PATH, "pathname"]);
const AFTER_HOST = new Set(["port", "pathname", "search", "hash"]);
const NO_COMPONENT = new Set(["init", "authority", "done"]);
const LITERAL = new Set(["char", "escaped", "invalid"]);
const BEFORE_MODIFIER = new Set(["name", "regexp", "close", "asterisk"]);

/** The components that a pattern has, as patterns. `isSpecial(protocol)`: whether that pattern matches a scheme that
 *  URLs treat specially. */
export function parseConstructorString(input, isSpecial) {
  const tokens = tokenize(input, true);
  const result = {};
  let state = "init";
  let index = 0;
  let start = 0; // token at which the component begins
  let step = 1;
  let depth = 0;
  let brackets = 0;
  let special = false;

  const token = (i) => tokens[Math.min(i, tokens.length - 1)];
  const is = (value, i = index) => token(i).value === value && LITERAL.has(token(i).type);
  const isSearch = () => {
    if (is("?")) return true;
    return token(index).value === "?" && (index === 0 || !BEFORE_MODIFIER.has(token(index - 1).type));
  };
  const text = () => input.slice(token(start).index, token(index).index);
  const change = (next, skip) => {
    if (!NO_COMPONENT.has(state)) result[state] = text();
    if (state !== "init" && next !== "done") {
      if (BEFORE_HOST.has(state) && AFTER_HOST.has(next)) result.hostname ??= "";
      if (BEFORE_PATH.has(state) && (next === "search" || next === "hash")) result.pathname ??= special ? "/" : "";
      if (BEFORE_SEARCH.has(state) && next === "hash") result.search ??= "";
    }
    state = next;
    index += skip;
    start = index;
    step = 0;
  };
  const rewind = (next) => {
    state = next;
    index = start;
    step = 0;
  };
  // What ends the host, port, path or search: the first that fits.
  const leave = (...ends) => {
    if (ends.includes("pathname") && is("/")) change("pathname", 0);
    else if (ends.includes("search") && isSearch()) change("search", 1);
    else if (is("#")) change("hash", 1);
  };

  const STATES = {
    init() {
      if (is(":")) rewind("protocol");
    },
    protocol() {
      if (!is(":")) return;
      special = isSpecial(text());
      if (is("/", index + 1) && is("/", index + 2)) change("authority", 3);
      else change(special ? "authority" : "pathname", 1);
    },
    authority() {
      if (is("@")) rewind("username");
      else if (is("/") || isSearch() || is("#")) rewind("hostname");
    },
    username() {
      if (is(":")) change("password", 1);
      else if (is("@")) change("hostname", 1);
    },
    password() {
      if (is("@")) change("hostname", 1);
    },
    hostname() {
      if (is("[")) brackets += 1;
      else if (is("]")) brackets -= 1;
      else if (is(":") && brackets === 0) change("port", 1);
      else leave("pathname", "search");
    },
    port: () => leave("pathname", "search"),
    pathname: () => leave("search"),
    search: () => leave(),
    hash() {},
  };

  while (index < tokens.length) {
    step = 1;
    const { type } = tokens[index];
    if (type === "end") {
      if (state === "init") {
        rewind("init");
        if (is("#")) change("hash", 1);
        else if (isSearch()) change("search", 1);
        else change("pathname", 0);
        continue;
      }
      if (state === "authority") {
        rewind("hostname");
        continue;
      }
      change("done", 0);
      break;
    }
    if (type === "open") {
      depth += 1;
    } else if (depth > 0 && type === "close") {
      depth -= 1;
      STATES[state]();
    } else if (depth === 0) {
      STATES[state]();
    }
    index += step;
  }
  if (result.hostname !== undefined) result.port ??= "";
  return result;
}
