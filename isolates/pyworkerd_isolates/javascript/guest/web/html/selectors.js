// Selectors (https://www.w3.org/TR/selectors-4/), as far as they can be answered while a document streams by: of an
// element its ancestors and what came before it are known, and nothing that follows. Those are what lol-html has; any
// other is an error that names it.

const MOST_CHARACTERS = 16384;
const COMMENTS = /(?:\/\*[^]*?\*\/)*/y;
const SPACE = /(?:[\t\n\f\r ]|\/\*[^]*?\*\/)*/y;
const IN_NAME = String.raw`(?:[-\w\u0080-\uffff]|\\(?:[0-9a-fA-F]{1,6}[\t\n\f\r ]?|[^\n\f\r]))`;
const IDENTIFIER = new RegExp(String.raw`-?-?(?:[_a-zA-Z\u0080-\uffff]|(?=\\[^\n\f\r]))${IN_NAME}*|--`, "y");
const NAME = new RegExp(`${IN_NAME}+`, "y");
const STRING = /"((?:[^"\\\n\f\r]|\\(?:\r\n|[^]))*)"|'((?:[^'\\\n\f\r]|\\(?:\r\n|[^]))*)'/y;
const ESCAPE = /\\(?:([0-9a-fA-F]{1,6})[\t\n\f\r ]?|(\r\n|[\n\f\r])|([^]))/g;
const OPERATOR = /[~|^$*]?=/y;
const NTH = /^(?:(odd|even)|([+-]?\d+)|([+-]?\d*)n[\t\n\f\r ]*(?:([+-])[\t\n\f\r ]*(\d+))?)$/i;

// Attributes whose values have no case in HTML (https://html.spec.whatwg.org/#case-sensitivity-of-selectors).
const CASELESS = new Set(
  `accept accept-charset align alink axis bgcolor charset checked clear codetype color compact declare defer dir
   direction disabled enctype face frame hreflang http-equiv lang language link media method multiple nohref noresize
   noshade nowrap readonly rel rev rules scope scrolling selected shape target text type valign valuetype vlink`.split(
    /\s+/,
  ),
);

const wrong = (message) => new TypeError(`Parser error: ${message}`);

function unescape(text) {
  return text.includes("\\") ? text.replace(ESCAPE, unescaped) : text;
}

function unescaped(_, digits, newline, character) {
  if (digits === undefined) return newline === undefined ? character : "";
  const code = Number.parseInt(digits, 16);
  return code === 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? "\ufffd" : String.fromCodePoint(code);
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  get next() {
    return this.text[this.at];
  }

  // What the expression finds here, or null.
  take(expression) {
    expression.lastIndex = this.at;
    const found = expression.exec(this.text);
    if (found !== null) this.at = expression.lastIndex;
    return found;
  }

  takes(character) {
    if (this.next !== character) return false;
    this.at += 1;
    return true;
  }

  // Whether there was any.
  space() {
    return this.take(SPACE)[0] !== "";
  }

  identifier(expression = IDENTIFIER) {
    const found = this.take(expression);
    if (found === null) throw this.unexpected();
    return unescape(found[0]);
  }

  unexpected() {
    if (this.next === undefined) return wrong("Unexpected end of selector.");
    return wrong(`Unexpected token in selector: ${this.text.slice(this.at, this.at + 20)}`);
  }
}

/** A list of selectors; each is a list of { type, tests, child }: the name of the element or null, further conditions,
 *  and whether it is a child of an element that the one before it means, not any descendant. */
export function parseSelectors(text) {
  if (text.length > MOST_CHARACTERS) throw wrong(`The selector has more than ${MOST_CHARACTERS} characters.`);
  const reader = new Reader(text);
  const found = [];
  do {
    found.push(complex(reader));
  } while (reader.takes(","));
  if (reader.next !== undefined) throw reader.unexpected();
  return found;
}

function complex(reader) {
  reader.space();
  if (reader.next === undefined || reader.next === ",") throw wrong("The selector is empty.");
  const parts = [{ ...compound(reader, false), child: false }];
  for (;;) {
    const apart = reader.space();
    const { next } = reader;
    if (next === undefined || next === ",") return parts;
    if (next === "+" || next === "~") throw wrong(`Unsupported combinator \`${next}\` in selector.`);
    const child = reader.takes(">");
    if (child) reader.space();
    else if (!apart) throw reader.unexpected();
    if (reader.next === undefined || reader.next === ",") throw wrong("Dangling combinator in selector.");
    parts.push({ ...compound(reader, false), child });
  }
}

function compound(reader, negated) {
  const start = reader.at;
  let type = null;
  if (!reader.takes("*")) {
    const found = reader.take(IDENTIFIER);
    if (found !== null) type = unescape(found[0]).toLowerCase();
  }
  if (reader.next === "|") throw wrong("Selectors with explicit namespaces are not supported.");
  const tests = [];
  for (;;) {
    reader.take(COMMENTS);
    const { next } = reader;
    if (next !== "#" && next !== "." && next !== "[" && next !== ":") break;
    reader.at += 1;
    if (next === "#") tests.push({ kind: "=", name: "id", value: reader.identifier(NAME), caseless: () => false });
    else if (next === ".") tests.push({ kind: "~=", name: "class", value: reader.identifier(), caseless: () => false });
    else tests.push(next === "[" ? attribute(reader) : pseudoClass(reader, negated));
  }
  if (reader.at === start) throw reader.unexpected();
  return { type, tests };
}

function attribute(reader) {
  reader.space();
  const name = reader.identifier().toLowerCase();
  reader.space();
  if (reader.takes("]")) return { kind: "has", name };
  if (reader.next === "|" && reader.text[reader.at + 1] !== "=") {
    throw wrong("Selectors with explicit namespaces are not supported.");
  }
  const operator = reader.take(OPERATOR);
  if (operator === null) throw reader.unexpected();
  reader.space();
  const quoted = reader.take(STRING);
  const value = quoted === null ? reader.identifier() : unescape(quoted[1] ?? quoted[2]);
  reader.space();
  const flag = reader.takes("]") ? "" : reader.identifier().toLowerCase();
  if (flag !== "") {
    if (flag !== "i" && flag !== "s") throw wrong(`Unexpected token in the attribute selector: ${flag}`);
    reader.space();
    if (!reader.takes("]")) throw reader.unexpected();
  }
  const usual = CASELESS.has(name);
  const caseless = flag === "" ? (html) => usual && html : () => flag === "i";
  return { kind: operator[0], name, value, caseless };
}

function pseudoClass(reader, negated) {
  const start = reader.at - 1;
  const element = reader.takes(":");
  const name = reader.identifier().toLowerCase();
  const unsupported = () =>
    wrong(`Unsupported pseudo-class or pseudo-element in selector: ${reader.text.slice(start, reader.at)}`);
  if (element) throw unsupported();
  if (!reader.takes("(")) {
    if (name === "first-child") return { kind: "nth", step: 0, offset: 1 };
    if (name === "first-of-type") return { kind: "nth of type", step: 0, offset: 1 };
    throw unsupported();
  }
  if (name === "not") return not(reader, negated);
  if (name !== "nth-child" && name !== "nth-of-type") throw unsupported();
  const close = reader.text.indexOf(")", reader.at);
  if (close < 0) throw wrong("Unexpected end of selector.");
  const written = reader.text.slice(reader.at, close).trim();
  reader.at = close + 1;
  const found = NTH.exec(written);
  if (found === null) throw wrong(`Unexpected token in selector: :${name}(${written.slice(0, 20)})`);
  return { kind: name === "nth-child" ? "nth" : "nth of type", ...nth(found) };
}

// An+B (https://www.w3.org/TR/css-syntax-3/#anb-microsyntax).
function nth([, word, number, step, sign, offset]) {
  if (word !== undefined) return { step: 2, offset: word.toLowerCase() === "odd" ? 1 : 0 };
  if (number !== undefined) return { step: 0, offset: Number(number) };
  const factor = step === "" || step === "+" ? 1 : step === "-" ? -1 : Number(step);
  return { step: factor, offset: offset === undefined ? 0 : Number(`${sign}${offset}`) };
}

function not(reader, negated) {
  if (negated) throw wrong("Nested negation in selector.");
  const compounds = [];
  do {
    reader.space();
    if (reader.next === ")") throw wrong("Empty negation in selector.");
    compounds.push(compound(reader, true));
    reader.space();
  } while (reader.takes(","));
  if (!reader.takes(")")) throw reader.unexpected();
  return { kind: "not", compounds };
}
