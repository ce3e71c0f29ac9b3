// Values as text for people, as Node and workerd print them: `console` and uncaught errors.

import { authored } from "pyworkerd:system";
import { platformName } from "pyworkerd:web/idl";

const CUSTOM = Symbol.for("nodejs.util.inspect.custom");
const WIDTH = 70; // Node's breakLength of 80, less the 10 that it leaves
const FLAT_LEVELS = 3; // Node's `compact`: so many levels are put on one line
const MOST_ITEMS = 100; // Node's maxArrayLength
const MOST_TEXT = 10_000; // Node's maxStringLength
const DEPTH = 2;
const MAX_DEPTH = 100; // whatever is asked for: the end of the stack would be the isolate's
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
const TypedArray = Object.getPrototypeOf(Uint8Array);
// What printing would make: a stream, a signal.
const LAZY = new Set(["body", "signal", "readable", "writable"]);

const ESCAPES = { "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f", "\v": "\\v", "\\": "\\\\" };

/** The value as text. `depth`: how many levels of objects inside are shown. */
export function inspect(value, { depth = DEPTH } = {}) {
  const most = Math.min(depth ?? MAX_DEPTH, MAX_DEPTH);
  return format(value, { depth: most, seen: [], circular: new Map(), indent: 0, deepest: 0 }, 0);
}

function format(value, state, level) {
  switch (typeof value) {
    case "string": return quoted(value);
    case "number": return Object.is(value, -0) ? "-0" : `${value}`;
    case "bigint": return `${value}n`;
    case "object": return value === null ? "null" : formatObject(value, state, level);
    case "function": return formatObject(value, state, level);
    default: return String(value);
  }
}

function quoted(text) {
  const more = text.length - MOST_TEXT;
  const shown = more > 0 ? text.slice(0, MOST_TEXT) : text;
  const quote = !shown.includes("'") ? "'" : !shown.includes('"') ? '"' : !shown.includes("`") ? "`" : "'";
  const escaped = shown.replace(/[\x00-\x1f\x7f-\x9f\\]/g, escapeOne);
  const inner = quote === "'" ? escaped.replaceAll("'", "\\'") : escaped;
  return `${quote}${inner}${quote}${more > 0 ? `... ${more} more character${more > 1 ? "s" : ""}` : ""}`;
}

const escapeOne = (c) => ESCAPES[c] ?? `\\x${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;

function formatObject(value, state, level) {
  const custom = reading(() => value[CUSTOM]);
  if (typeof custom === "function" && custom !== inspect) {
    const result = custom.call(value, state.depth - level, { depth: state.depth - level }, inspect);
    if (result !== value) return typeof result === "string" ? result : format(result, state, level);
  }
  if (state.seen.includes(value)) {
    if (!state.circular.has(value)) state.circular.set(value, state.circular.size + 1);
    return `[Circular *${state.circular.get(value)}]`;
  }
  let kind = reading(() => KINDS.find(({ is }) => is(value))) ?? PLAIN;
  const name = reading(() => constructorName(value)) ?? null;
  let head = reading(() => kind.head(value, name));
  if (head === undefined) {
    kind = PLAIN; // it inherits from a map, say, and is none
    head = PLAIN.head(value, name);
  }
  if ((level > state.depth && !kind.whole && !isEmpty(value)) || level > MAX_DEPTH) {
    return `[${Array.isArray(value) ? "Array" : name ?? "Object"}]`;
  }
  const deepest = state.deepest;
  state.seen.push(value);
  state.deepest = level;
  state.indent += 2;
  const entry = (item) => format(item, state, level + 1);
  const items = reading(() => kind.items?.(value, entry)) ?? [];
  const parts = items.concat(reading(() => properties(value, kind, entry)) ?? []);
  state.indent -= 2;
  state.seen.pop();
  if (parts.length === 0) state.deepest = deepest; // what is empty is no level
  const [open, close] = kind.brackets ?? ["{", "}"];
  const text = parts.length === 0
    ? kind.whole ? head : `${head && `${head} `}${open}${close}`
    : joined(parts, head, open, close, state, state.deepest - level < FLAT_LEVELS);
  const reference = state.circular.get(value);
  return reference === undefined ? text : `<ref *${reference}> ${text}`;
}

// Whether there is nothing inside that would be left out.
function isEmpty(value) {
  const size = () => Object.keys(value).length + (value.size ?? value.length ?? 0);
  return platformName(value) === undefined && reading(size) === 0;
}

function joined(parts, head, open, close, state, mayBeFlat) {
  const start = head === "" ? open : `${head} ${open}`;
  const total = parts.reduce((sum, part) => sum + part.length + 2, start.length + state.indent);
  const flat = mayBeFlat && total <= WIDTH && !parts.some((part) => part.includes("\n")) && !head.includes("\n");
  if (flat) return `${start} ${parts.join(", ")} ${close}`;
  const space = " ".repeat(state.indent + 2);
  return `${start}\n${space}${parts.join(`,\n${space}`)}\n${" ".repeat(state.indent)}${close}`;
}

function properties(value, kind, entry) {
  const parts = [];
  for (const key of Reflect.ownKeys(value)) {
    if (kind.skip?.(key, value)) continue;
    const own = Object.getOwnPropertyDescriptor(value, key);
    if (own === undefined || !own.enumerable) continue;
    const accessor = own.get && own.set ? "[Getter/Setter]" : own.get ? "[Getter]" : own.set ? "[Setter]" : null;
    parts.push(`${keyText(key)}: ${accessor ?? entry(own.value)}`);
  }
  if (platformName(value) !== undefined) parts.push(...attributes(value, entry));
  return parts;
}

// Objects of the platform have no properties of their own: their attributes are getters of their prototypes.
function attributes(value, entry) {
  const parts = [];
  const seen = new Set(LAZY);
  for (let holder = Object.getPrototypeOf(value); platformName(holder); holder = Object.getPrototypeOf(holder)) {
    for (const [key, { get }] of Object.entries(Object.getOwnPropertyDescriptors(holder))) {
      if (get === undefined || seen.has(key)) continue;
      seen.add(key);
      parts.push(`${keyText(key)}: ${reading(() => entry(get.call(value))) ?? "undefined"}`);
    }
  }
  return parts;
}

const keyText = (key) =>
  typeof key === "symbol" ? `[${String(key)}]` : IDENTIFIER.test(key) ? key : quoted(key);

function constructorName(value) {
  for (let holder = value; holder !== null; holder = Object.getPrototypeOf(holder)) {
    const own = Object.getOwnPropertyDescriptor(holder, "constructor");
    if (own !== undefined && typeof own.value === "function" && own.value.name !== "") return own.value.name;
  }
  return null;
}

// A getter or proxy of the worker's may throw: printing must not.
function reading(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function many(all, entry, size) {
  const items = [];
  for (const item of all) {
    if (items.length === MOST_ITEMS) {
      const more = size - MOST_ITEMS;
      items.push(`... ${more} more item${more > 1 ? "s" : ""}`);
      break;
    }
    items.push(entry(item));
  }
  return items;
}

function arrayItems(value, entry) {
  const items = [];
  let holes = 0;
  const flush = () => {
    if (holes > 0) items.push(`<${holes} empty item${holes > 1 ? "s" : ""}>`);
    holes = 0;
  };
  for (let i = 0; i < value.length; i += 1) {
    if (items.length >= MOST_ITEMS) {
      const more = value.length - i;
      items.push(`... ${more} more item${more > 1 ? "s" : ""}`);
      return items;
    }
    if (i in value) {
      flush();
      items.push(entry(value[i]));
    } else {
      holes += 1;
    }
  }
  flush();
  return items;
}

function functionHead(value, name) {
  const source = reading(() => Function.prototype.toString.call(value)) ?? "";
  if (/^class\b/.test(source)) {
    const parent = Object.getPrototypeOf(value);
    const parentName = parent?.name ? ` extends ${parent.name}` : "";
    return `[class ${value.name || "(anonymous)"}${parentName}]`;
  }
  const tag = name ?? "Function";
  return value.name ? `[${tag}: ${value.name}]` : `[${tag} (anonymous)]`;
}

/** What an error says: its name and message, and where it came from. The engine's stacks are without the first. */
export function errorHead(value) {
  const text = reading(() => {
    const name = `${value.name ?? "Error"}`;
    const message = `${value.message ?? ""}`;
    return message === "" ? name : `${name}: ${message}`;
  }) ?? "Error";
  const stack = reading(() => authored(value.stack));
  if (typeof stack !== "string" || stack === "") return `[${text}]`;
  return stack.startsWith(text) ? stack.trimEnd() : `${text}\n${stack.trimEnd()}`;
}

const sized = (value, name, size) => `${name ?? "[null prototype]"}(${size})`;
const isIndex = (key) => typeof key === "string" && /^\d+$/.test(key);
const isA = (type) => (value) => value instanceof type;
const boxed = (type) => ({
  is: isA(type),
  whole: true,
  head: (value) => `[${type.name}: ${reading(() => format(type.prototype.valueOf.call(value))) ?? type.name}]`,
  skip: isIndex,
});

// The first row that fits says how: what stands before the brackets, which brackets, what is inside beside properties.
// `whole`: without properties the head is all.
const KINDS = [
  { is: (value) => typeof value === "function", whole: true, head: functionHead },
  {
    is: Array.isArray,
    brackets: ["[", "]"],
    head: (value, name) => (name === "Array" ? "" : sized(value, name, value.length)),
    items: arrayItems,
    skip: isIndex,
  },
  {
    is: isA(Error),
    whole: true,
    head: errorHead,
    items: (value, entry) => {
      const own = (key) => Object.getOwnPropertyDescriptor(value, key);
      const parts = [];
      if (own("cause") && !own("cause").enumerable) parts.push(`[cause]: ${entry(value.cause)}`);
      if (Array.isArray(value.errors)) parts.push(`[errors]: ${entry(value.errors)}`);
      return parts;
    },
    skip: (key) => key === "stack" || key === "message",
  },
  { is: isA(Date), whole: true, head: (value) => reading(() => value.toISOString()) ?? "Invalid Date" },
  { is: isA(RegExp), whole: true, head: (value) => reading(() => RegExp.prototype.toString.call(value)) ?? "RegExp" },
  {
    is: isA(Map),
    head: (value, name) => sized(value, name, value.size),
    items: (value, entry) => many(value, ([key, item]) => `${entry(key)} => ${entry(item)}`, value.size),
  },
  {
    is: isA(Set),
    head: (value, name) => sized(value, name, value.size),
    items: (value, entry) => many(value, entry, value.size),
  },
  {
    is: isA(TypedArray),
    brackets: ["[", "]"],
    head: (value, name) => sized(value, name, value.length),
    items: (value, entry) => many(value, entry, value.length),
    skip: isIndex,
  },
  {
    is: isA(ArrayBuffer),
    head: (value, name) => name ?? "ArrayBuffer",
    items: (value) => [
      `[Uint8Contents]: <${Array.from(new Uint8Array(value, 0, Math.min(50, value.byteLength)), hexByte).join(" ")}` +
        `${value.byteLength > 50 ? ` ... ${value.byteLength - 50} more bytes` : ""}>`,
      `byteLength: ${value.byteLength}`,
    ],
  },
  boxed(String),
  boxed(Number),
  boxed(Boolean),
  boxed(BigInt),
  boxed(Symbol),
];

const hexByte = (byte) => byte.toString(16).padStart(2, "0");

const PLAIN = {
  head(value, name) {
    const tag = reading(() => value[Symbol.toStringTag]);
    const label = name === null ? "[Object: null prototype]" : name === "Object" ? "" : name;
    return typeof tag === "string" && tag !== "" && tag !== name ? `${label || "Object"} [${tag}]` : label;
  },
};
