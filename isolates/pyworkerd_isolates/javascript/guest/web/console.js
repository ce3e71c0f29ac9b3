// `console`: formatted text to the worker's log.

import { errorHead, inspect } from "pyworkerd:web/inspect";
import { log, now } from "pyworkerd:system";

const PLACEHOLDER = /%[sdifjoOc%]/g;
const INDENT = "  ";

let indent = "";
const counts = new Map();
const timers = new Map();

/** The arguments of `console.log` as one text: printf's placeholders first, the rest after spaces. */
export function formatLog(values) {
  let rest = values;
  let text = "";
  if (typeof values[0] === "string") {
    if (values.length === 1) return values[0];
    let next = 1;
    text = values[0].replace(PLACEHOLDER, (placeholder) => {
      if (placeholder === "%%") return "%";
      if (next >= values.length) return placeholder;
      const value = values[next];
      next += 1;
      return PLACEHOLDERS[placeholder[1]](value);
    });
    rest = values.slice(next);
    if (rest.length > 0) text += " ";
  }
  return text + rest.map((value) => (typeof value === "string" ? value : inspect(value))).join(" ");
}

const number = (convert) => (value) => {
  if (typeof value === "bigint") return `${convert(value)}${convert === Number.parseFloat ? "" : "n"}`;
  return typeof value === "symbol" ? "NaN" : inspect(convert(value));
};

const PLACEHOLDERS = {
  s(value) {
    if (typeof value === "bigint" || typeof value === "number" || typeof value === "object") {
      return inspect(value, { depth: 0 });
    }
    return String(value);
  },
  d: number(Number),
  i: number((value) => Number.parseInt(value, 10)),
  f: number(Number.parseFloat),
  j: (value) => {
    try {
      return `${JSON.stringify(value)}`;
    } catch (error) {
      return /circular/i.test(error?.message) ? "[Circular]" : inspect(value);
    }
  },
  o: (value) => inspect(value, { depth: 4 }),
  O: (value) => inspect(value),
  c: () => "",
};

function write(level, text) {
  log(level, indent === "" ? text : indent + text.replaceAll("\n", `\n${indent}`));
}

function warnOf(what) {
  write("warn", what);
}

function elapsed(label) {
  const milliseconds = now() - timers.get(label);
  return milliseconds < 1000 ? `${milliseconds}ms` : `${milliseconds / 1000}s`;
}

function tableOf(rows, columns) {
  const isMap = rows instanceof Map;
  const entries = isMap || rows instanceof Set ? [...rows.entries()] : Object.entries(rows);
  const keys = columns === undefined ? new Set() : new Set(columns.map(String));
  let hasValues = false;
  const lines = entries.map(([key, row], index) => {
    const cells = new Map([["", isMap ? `${index}` : `${rows instanceof Set ? index : key}`]]);
    if (typeof row === "object" && row !== null) {
      for (const [column, value] of Object.entries(row)) {
        if (columns === undefined) keys.add(column);
        if (keys.has(column)) cells.set(`.${column}`, inspect(value, { depth: 0 }));
      }
    } else {
      hasValues = true;
      cells.set("=", inspect(row));
    }
    return cells;
  });
  const ids = ["", ...[...keys].map((key) => `.${key}`), ...(hasValues ? ["="] : [])];
  const titles = ["(index)", ...keys, ...(hasValues ? ["Values"] : [])];
  const widths = ids.map((id, i) => Math.max(titles[i].length, ...lines.map((cells) => (cells.get(id) ?? "").length)));
  const rule = (left, middle, right) => left + widths.map((width) => "─".repeat(width + 2)).join(middle) + right;
  const line = (cells) => `│${cells.map((cell, i) => ` ${cell.padEnd(widths[i])} `).join("│")}│`;
  return [
    rule("┌", "┬", "┐"),
    line(titles),
    rule("├", "┼", "┤"),
    ...lines.map((cells) => line(ids.map((id) => cells.get(id) ?? ""))),
    rule("└", "┴", "┘"),
  ].join("\n");
}

const methods = {
  debug(...values) { write("debug", formatLog(values)); },
  error(...values) { write("error", formatLog(values)); },
  info(...values) { write("info", formatLog(values)); },
  log(...values) { write("log", formatLog(values)); },
  warn(...values) { write("warn", formatLog(values)); },
  dir(value = undefined, options = undefined) { write("log", inspect(value, { depth: options?.depth })); },
  dirxml(...values) { write("log", formatLog(values)); },
  table(rows = undefined, columns = undefined) {
    const isRows = typeof rows === "object" && rows !== null;
    write("log", isRows ? tableOf(rows, columns) : formatLog([rows]));
  },
  trace(...values) {
    const trace = new Error(formatLog(values));
    trace.name = "Trace";
    write("debug", errorHead(trace));
  },
  group(...labels) {
    if (labels.length > 0) write("log", formatLog(labels));
    indent += INDENT;
  },
  groupCollapsed(...labels) { methods.group(...labels); },
  groupEnd() { indent = indent.slice(INDENT.length); },
  clear() {},
  count(label = "default") {
    const key = `${label}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    write("log", `${key}: ${counts.get(key)}`);
  },
  assert(condition = false, ...values) {
    if (condition) return;
    const [first, ...rest] = values;
    const text = typeof first === "string" ? [`Assertion failed: ${first}`, ...rest] : ["Assertion failed", ...values];
    write("error", formatLog(text));
  },
  profile() {},
  profileEnd() {},
  time(label = "default") {
    if (timers.has(`${label}`)) return warnOf(`Timer '${label}' already exists`);
    timers.set(`${label}`, now());
  },
  timeLog(label = "default", ...values) {
    if (!timers.has(`${label}`)) return warnOf(`Timer '${label}' does not exist`);
    write("log", formatLog([`${label}: ${elapsed(`${label}`)}`, ...values]));
  },
  timeEnd(label = "default") {
    if (!timers.has(`${label}`)) return warnOf(`Timer '${label}' does not exist`);
    write("log", `${label}: ${elapsed(`${label}`)}`);
    timers.delete(`${label}`);
  },
  timeStamp() {},
  countReset(label = "default") {
    if (!counts.delete(`${label}`)) warnOf(`Count for '${label}' does not exist`);
  },
};

export const console = Object.assign(Object.create({}), methods);
Object.defineProperty(console, Symbol.toStringTag, { value: "console", configurable: true });
