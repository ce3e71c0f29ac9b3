// Pattern strings: tokens, parts, and the regular expression and the normal form that are made of parts
// (https://urlpattern.spec.whatwg.org/#patterns).

const NAME_START = /^[\p{ID_Start}$_]$/u;
const NAME_PART = /^[\p{ID_Continue}$_\u200c\u200d]$/u;

const SIMPLE = { "*": "asterisk", "+": "modifier", "?": "modifier", "{": "open", "}": "close" };

const isASCII = (c) => c <= "\x7f";

/** Tokens with `type`, `index` and `value`; the last is "end". Where not `lenient`, what is wrong is a TypeError. */
export function tokenize(input, lenient) {
  const tokens = [];
  let index = 0;
  const push = (type, next, value) => {
    tokens.push({ type, index, value });
    index = next;
  };
  const wrong = (next, why) => {
    if (!lenient) throw new TypeError(`Invalid pattern '${input}': ${why}.`);
    push("invalid", next, input.slice(index, next));
  };
  while (index < input.length) {
    const c = at(input, index);
    const after = index + c.length;
    if (c in SIMPLE) {
      push(SIMPLE[c], after, c);
    } else if (c === "\\") {
      if (after === input.length) wrong(after, "it ends with a backslash");
      else push("escaped", after + at(input, after).length, at(input, after));
    } else if (c === ":") {
      const end = endOfName(input, after);
      if (end === after) wrong(after, "a colon is not followed by a name");
      else push("name", end, input.slice(after, end));
    } else if (c === "(") {
      const end = endOfGroup(input, after);
      if (typeof end === "string") wrong(after, end);
      else push("regexp", end + 1, input.slice(after, end));
    } else {
      push("char", after, c);
    }
  }
  push("end", index, "");
  return tokens;
}

const at = (input, index) => String.fromCodePoint(input.codePointAt(index));

function endOfName(input, start) {
  let end = start;
  while (end < input.length) {
    const c = at(input, end);
    if (!(end === start ? NAME_START : NAME_PART).test(c)) break;
    end += c.length;
  }
  return end;
}

// Where the parenthesis closes, or what is wrong.
function endOfGroup(input, start) {
  let depth = 1;
  for (let i = start; i < input.length; i += 1) {
    if (!isASCII(input[i])) return "a regular expression has a character that is not ASCII";
    if (i === start && input[i] === "?") return "a regular expression begins with a question mark";
    if (input[i] === "\\") {
      i += 1;
      if (i === input.length || !isASCII(input[i])) return "a backslash in a regular expression escapes nothing";
    } else if (input[i] === ")") {
      depth -= 1;
      if (depth === 0) return i === start ? "a regular expression is empty" : i;
    } else if (input[i] === "(") {
      depth += 1;
      if (input[i + 1] !== "?") return "a regular expression has a group inside that captures";
    }
  }
  return "a parenthesis is not closed";
}

const escapeRegExp = (text) => text.replace(/[.+*?^${}()[\]|/\\]/g, "\\$&");
export const escapePattern = (text) => text.replace(/[+*?:{}()\\]/g, "\\$&");
const wildcardOf = ({ delimiter }) => `[^${escapeRegExp(delimiter)}]+?`;
const ANYTHING = ".*";

/** The parts of a pattern. `options` has `delimiter` and `prefix`; `encode` canonicalizes fixed text. */
export function parseParts(input, options, encode) {
  const tokens = tokenize(input, false);
  const wildcard = wildcardOf(options);
  const parts = [];
  const names = new Set();
  let index = 0;
  let number = 0;
  let pending = "";

  const take = (type) => (tokens[index].type === type ? tokens[index++] : null);
  const takeMatcher = (name) => take("regexp") ?? (name === null ? take("asterisk") : null);
  const takeModifier = () => (take("modifier") ?? take("asterisk"))?.value ?? "";
  const takeText = () => {
    let text = "";
    for (let token; (token = take("char") ?? take("escaped")) !== null; ) text += token.value;
    return text;
  };
  const need = (type) => {
    if (take(type) !== null) return;
    throw new TypeError(`Invalid pattern '${input}': something else than "${type}" stands at ${tokens[index].index}.`);
  };
  const fixedPart = (text, modifier) =>
    parts.push({ type: "fixed", value: encode(text), modifier, name: "", prefix: "", suffix: "" });
  const flush = () => {
    if (pending !== "") fixedPart(pending, "");
    pending = "";
  };
  const add = (prefix, name, matcher, suffix, modifier) => {
    if (name === null && matcher === null && modifier === "") {
      pending += prefix;
      return;
    }
    flush();
    if (name === null && matcher === null) {
      if (prefix !== "") fixedPart(prefix, modifier);
      return;
    }
    const source = matcher === null ? wildcard : matcher.type === "asterisk" ? ANYTHING : matcher.value;
    const type = source === wildcard ? "segment" : source === ANYTHING ? "anything" : "regexp";
    const key = name === null ? `${number++}` : name.value;
    if (names.has(key)) throw new TypeError(`Invalid pattern '${input}': it has the name ${key} twice.`);
    names.add(key);
    const value = type === "regexp" ? source : "";
    parts.push({ type, value, modifier, name: key, prefix: encode(prefix), suffix: encode(suffix) });
  };

  while (index < tokens.length) {
    const char = take("char");
    const name = take("name");
    const matcher = takeMatcher(name);
    if (name !== null || matcher !== null) {
      let prefix = char?.value ?? "";
      if (prefix !== "" && prefix !== options.prefix) {
        pending += prefix;
        prefix = "";
      }
      flush();
      add(prefix, name, matcher, "", takeModifier());
      continue;
    }
    const fixed = char ?? take("escaped");
    if (fixed !== null) {
      pending += fixed.value;
    } else if (take("open") !== null) {
      const prefix = takeText();
      const inner = take("name");
      const innerMatcher = takeMatcher(inner);
      const suffix = takeText();
      need("close");
      add(prefix, inner, innerMatcher, suffix, takeModifier());
    } else {
      flush();
      need("end");
    }
  }
  return parts;
}

/** The source of the regular expression for parts. */
export function regExpOf(parts, options) {
  let source = "^";
  for (const part of parts) {
    const { modifier } = part;
    if (part.type === "fixed") {
      const text = escapeRegExp(part.value);
      source += modifier === "" ? text : `(?:${text})${modifier}`;
      continue;
    }
    const value = part.type === "segment" ? wildcardOf(options) : part.type === "anything" ? ANYTHING : part.value;
    const prefix = escapeRegExp(part.prefix);
    const suffix = escapeRegExp(part.suffix);
    const repeats = modifier === "*" || modifier === "+";
    if (prefix === "" && suffix === "") {
      source += repeats ? `((?:${value})${modifier})` : `(${value})${modifier}`;
    } else if (!repeats) {
      source += `(?:${prefix}(${value})${suffix})${modifier}`;
    } else {
      source += `(?:${prefix}((?:${value})(?:${suffix}${prefix}(?:${value}))*)${suffix})${modifier === "*" ? "?" : ""}`;
    }
  }
  return `${source}$`;
}

const isNumber = (name) => /^\d/.test(name);
const beginsLikeName = (text) => text !== "" && NAME_PART.test(at(text, 0));

/** The normal form of a pattern. */
export function patternOf(parts, options) {
  let text = "";
  parts.forEach((part, i) => {
    const { type, modifier, name, prefix, suffix } = part;
    if (type === "fixed") {
      text += modifier === "" ? escapePattern(part.value) : `{${escapePattern(part.value)}}${modifier}`;
      return;
    }
    const named = !isNumber(name);
    const grouped = needsBraces(part, parts[i - 1], parts[i + 1], named, options);
    text += `${grouped ? "{" : ""}${escapePattern(prefix)}${named ? `:${name}` : ""}`;
    if (type === "regexp") text += `(${part.value})`;
    else if (type === "segment" && !named) text += `(${wildcardOf(options)})`;
    else if (type === "anything") text += isBareAsterisk(part, parts[i - 1], named, grouped) ? "*" : `(${ANYTHING})`;
    if (type === "segment" && named && beginsLikeName(suffix)) text += "\\";
    text += `${escapePattern(suffix)}${grouped ? "}" : ""}${modifier}`;
  });
  return text;
}

function needsBraces({ type, modifier, prefix, suffix }, previous, next, named, options) {
  if (suffix !== "" || (prefix !== "" && prefix !== options.prefix)) return true;
  const isBare = next !== undefined && next.prefix === "" && next.suffix === "";
  if (named && type === "segment" && modifier === "" && isBare) {
    if (next.type === "fixed" ? beginsLikeName(next.value) : isNumber(next.name)) return true;
  }
  if (prefix !== "" || options.prefix === "" || previous?.type !== "fixed") return false;
  return previous.value.endsWith(options.prefix);
}

function isBareAsterisk({ prefix }, previous, named, grouped) {
  if (named) return false;
  return previous === undefined || previous.type === "fixed" || previous.modifier !== "" || grouped || prefix !== "";
}
