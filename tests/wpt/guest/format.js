// How values are written in the names and messages of tests.

const ESCAPES = { "\\": "\\\\", "\0": "\\0", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f", "\r": "\\r" };

function escaped(character) {
  const code = character.charCodeAt(0);
  return ESCAPES[character] ?? (code < 0x20 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`);
}

const MOST = 60; // characters of an object's own text

/** A value as the names of upstream's tests have it. */
export function format_value(value, seen = []) {
  if (Array.isArray(value)) {
    if (seen.includes(value)) return "[...]";
    return `[${Array.from(value, (item) => format_value(item, [...seen, value])).join(", ")}]`;
  }
  switch (typeof value) {
    case "string":
      return `"${value.replace(/[\\\0-\x1f\ud800-\udfff\ufffe\uffff]/g, escaped).replaceAll('"', '\\"')}"`;
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
      return `${value}n`;
    case "boolean":
    case "undefined":
    case "symbol":
      return String(value);
    default:
      return value === null ? "null" : `${typeof value} "${textOf(value).slice(0, 1000)}"`;
  }
}

function textOf(value) {
  try {
    const text = String(value);
    return text.length <= MOST || typeof value !== "function" ? text : `${text.slice(0, MOST)}...`;
  } catch (error) {
    return `[${String(error?.name)} when it was made a string]`;
  }
}

/** What was thrown, in one line. */
export function describe(thrown) {
  if (thrown instanceof Error || thrown instanceof DOMException) return `${thrown.name}: ${thrown.message}`;
  return format_value(thrown);
}
