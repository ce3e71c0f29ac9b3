// The tokens of an HTML document (https://html.spec.whatwg.org/#tokenization), found and not built: a token is where it
// begins and ends, so that what nobody changes goes out as it came in, byte for byte.
//
// The input is a text with one character for each byte. All that HTML's syntax is made of is ASCII, so this is right
// for every encoding that has ASCII in it. Whatever may become long is found by `indexOf` or by a regular expression
// that looks for its end, and looked for further where the last piece of the input ended: a loop of bytecode over
// characters would take many times as long.

export const MORE = 0; // nothing is complete: `write` or `finish`, and ask again
export const END = 1;
export const TEXT = 2;
export const START_TAG = 3;
export const END_TAG = 4;
export const COMMENT = 5;
export const DOCTYPE = 6;
export const MARK = 7; // what is no token: the ends of a CDATA section, "</>", a tag that the input ends in

const MOST = 3 << 20;
// Bytes of one token: what Workers' parser may use of memory.
const MOST_NAMES = 1024;
const LONGEST_NAME = 64;
// Names that are known in lower case, for as long as the isolate lives.

const NAME_END = /[\t\n\f\r />]/g;
const ATTRIBUTE_NAME_END = /[\t\n\f\r />=]/g;
const NO_SPACE = /[^\t\n\f\r ]/g;
const NO_SPACE_OR_SLASH = /[^\t\n\f\r /]/g;
const UNQUOTED_END = /[\t\n\f\r >]/g;
const VALUE = String.raw`="[^"]*"|='[^']*'|=[^\t\n\f\r "'=/>]+(?=[\t\n\f\r >])`;
const USUAL_TAG = new RegExp(
  String.raw`<(/?[a-zA-Z][^\t\n\f\r />]*)(?:[\t\n\f\r ]+[^\t\n\f\r "'=/>]+(?:${VALUE})?)*[\t\n\f\r ]*/?>`,
  "y",
);
const LETTER = /[a-zA-Z]/y;
const ESCAPED = /-->|<(\/?)[sS][cC][rR][iI][pP][tT][\t\n\f\r />]/g;
const SCRIPT_MARK = /<!--|<\/[sS][cC][rR][iI][pP][tT][\t\n\f\r />]/y;
const DOCTYPE_NAME = /doctype/iy;

// What a tag goes on with.
const IN_NAME = 1;
const BEFORE_ATTRIBUTE = 2;
const IN_ATTRIBUTE = 3;
const AFTER_ATTRIBUTE = 4;
const BEFORE_VALUE = 5;
const IN_DOUBLE_QUOTES = 6;
const IN_SINGLE_QUOTES = 7;
const IN_UNQUOTED = 8;

/** Kinds of text, other than that of which most documents are: what ends it. */
export const DATA = "data";
export const ESCAPABLE = "escapable"; // RCDATA and RAWTEXT: the end tag of the element
export const SCRIPT = "script"; // the same, outside of what is escaped twice
export const PLAINTEXT = "plaintext"; // nothing
const CDATA = "cdata";

const ASCII = /^[\0-\x7f]*$/;

/** A name in lower case, as far as it is ASCII. */
export const lower = (text) =>
  ASCII.test(text) ? text.toLowerCase() : text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

const names = new Map();
// { name, kind } of what stands after "<", for tags that were seen.

function note(written) {
  const closing = written.startsWith("/");
  const known = { name: lower(closing ? written.slice(1) : written), kind: closing ? END_TAG : START_TAG };
  if (written.length > LONGEST_NAME) return known;
  if (names.size >= MOST_NAMES) names.clear();
  names.set(written, known);
  return known;
}

export class Tokenizer {
  buffer = "";
  at = 0; // what comes before is done with
  start = 0;
  end = 0;
  name = ""; // of a tag, in lower case
  inside = 0; // where a tag's attributes, a comment's text or what a document type declares begins, ...
  outside = 0; // ... and ends
  selfClosing = false;
  skipsText = false; // whether texts between tags need not be told
  cdata = false; // whether "<![CDATA[" begins one here: in foreign content
  #mode = DATA;
  #element = ""; // whose end tag ends the text
  #escaped = 0; // of a script: how often
  #phase = 0; // of a tag that is not complete
  #scan = 0; // where the search for the end of what is not complete goes on
  #since = 0; // where its part began
  #closing = false;
  #finished = false;

  write(piece) {
    this.buffer = this.at === this.buffer.length ? piece : this.buffer.slice(this.at) + piece;
    this.#scan = Math.max(0, this.#scan - this.at);
    this.#since -= this.at;
    this.inside -= this.at;
    this.at = 0;
    if (this.buffer.length - piece.length > MOST) {
      throw new TypeError("Parser error: The memory limit has been exceeded.");
    }
  }

  /** Nothing more is written. */
  finish() {
    this.#finished = true;
  }

  /** What the text is that follows a start tag of this name, from here on. */
  expect(mode, name) {
    this.#mode = mode;
    this.#element = name;
    this.#escaped = 0;
  }

  /** The kind of the next token, from `start` to `end`. */
  next() {
    const { at, buffer } = this;
    this.start = at;
    if (at === buffer.length) return this.#finished ? END : MORE;
    if (this.#phase !== 0) return this.#tag();
    switch (this.#mode) {
      case DATA:
        return this.#data(buffer, at);
      case ESCAPABLE:
        return this.#escapable(buffer, at);
      case SCRIPT:
        return this.#script(buffer, at);
      case CDATA:
        return this.#cdata(buffer, at);
      default:
        return this.#emit(TEXT, buffer.length);
    }
  }

  #emit(kind, end) {
    this.at = this.end = end;
    this.#scan = 0;
    return kind;
  }

  #data(buffer, at) {
    const open = buffer.indexOf("<", at);
    if (open !== at) {
      if (!this.skipsText || open < 0) return this.#emit(TEXT, open < 0 ? buffer.length : open);
      this.start = at = open;
    }
    USUAL_TAG.lastIndex = at;
    const usual = USUAL_TAG.exec(buffer);
    if (usual !== null) return this.#usual(buffer, usual[1], USUAL_TAG.lastIndex);
    this.at = at;
    const next = buffer.charCodeAt(at + 1);
    if (next !== next && !this.#finished) return MORE;
    LETTER.lastIndex = at + 1;
    if (LETTER.test(buffer)) return this.#begin(at + 1, false);
    if (next === 47) return this.#afterSlash(buffer, at);
    if (next === 33) return this.#declaration(buffer, at);
    if (next === 63) return this.#bogus(buffer, at + 1);
    return this.#text(buffer, at + 1);
  }

  // A tag of which all is here, as most are written.
  #usual(buffer, written, end) {
    const known = names.get(written) ?? note(written);
    this.name = known.name;
    this.inside = this.start + 1 + written.length;
    this.outside = end - 1;
    this.selfClosing = buffer.charCodeAt(end - 2) === 47;
    this.at = this.end = end;
    this.#scan = 0;
    return known.kind;
  }

  #text(buffer, from) {
    const open = buffer.indexOf("<", from);
    return this.#emit(TEXT, open < 0 ? buffer.length : open);
  }

  #afterSlash(buffer, at) {
    if (at + 2 === buffer.length) return this.#finished ? this.#emit(TEXT, at + 2) : MORE;
    LETTER.lastIndex = at + 2;
    if (LETTER.test(buffer)) return this.#begin(at + 2, true);
    if (buffer[at + 2] === ">") return this.#emit(MARK, at + 3);
    return this.#bogus(buffer, at + 2);
  }

  // A tag, of whose name the first letter is here.
  #begin(from, closing) {
    this.inside = from;
    this.#closing = closing;
    this.#phase = IN_NAME;
    this.#scan = from;
    return this.#tag();
  }

  #complete(name, end) {
    this.name = lower(name);
    this.outside = end - 1;
    this.#phase = 0;
    this.#mode = DATA;
    return this.#emit(this.#closing ? END_TAG : START_TAG, end);
  }

  #search(expression) {
    expression.lastIndex = this.#scan;
    const found = expression.test(this.buffer);
    this.#scan = found ? expression.lastIndex - 1 : this.buffer.length;
    return found;
  }

  // A tag part by part: one that is long or unusual, or of which the end is not here yet.
  #tag() {
    const { buffer } = this;
    for (;;) {
      switch (this.#phase) {
        case IN_NAME:
          if (!this.#search(NAME_END)) return this.#incomplete();
          this.name = buffer.slice(this.inside, this.#scan);
          this.inside = this.#since = this.#scan;
          this.#phase = BEFORE_ATTRIBUTE;
          break;
        case BEFORE_ATTRIBUTE:
          if (!this.#search(NO_SPACE_OR_SLASH)) return this.#incomplete();
          if (buffer[this.#scan] === ">") {
            return this.#endOfTag(this.#scan > this.#since && buffer[this.#scan - 1] === "/");
          }
          this.#scan += 1;
          this.#phase = IN_ATTRIBUTE;
          break;
        case IN_ATTRIBUTE:
          if (!this.#search(ATTRIBUTE_NAME_END)) return this.#incomplete();
          this.#phase = AFTER_ATTRIBUTE;
          break;
        case AFTER_ATTRIBUTE:
          if (!this.#search(NO_SPACE)) return this.#incomplete();
          if (buffer[this.#scan] === "=") {
            this.#scan += 1;
            this.#phase = BEFORE_VALUE;
          } else {
            this.#attributeFrom(this.#scan);
          }
          break;
        case BEFORE_VALUE:
          if (!this.#search(NO_SPACE)) return this.#incomplete();
          if (buffer[this.#scan] === ">") return this.#endOfTag(false);
          this.#phase = VALUES[buffer[this.#scan]] ?? IN_UNQUOTED;
          if (this.#phase !== IN_UNQUOTED) this.#scan += 1;
          break;
        case IN_UNQUOTED:
          if (!this.#search(UNQUOTED_END)) return this.#incomplete();
          if (buffer[this.#scan] === ">") return this.#endOfTag(false);
          this.#attributeFrom(this.#scan);
          break;
        default: {
          const close = buffer.indexOf(this.#phase === IN_DOUBLE_QUOTES ? '"' : "'", this.#scan);
          if (close < 0) {
            this.#scan = buffer.length;
            return this.#incomplete();
          }
          this.#attributeFrom(close + 1);
        }
      }
    }
  }

  #attributeFrom(place) {
    this.#scan = this.#since = place;
    this.#phase = BEFORE_ATTRIBUTE;
  }

  #endOfTag(selfClosing) {
    this.selfClosing = selfClosing;
    return this.#complete(this.name, this.#scan + 1);
  }

  #incomplete() {
    if (!this.#finished) return MORE;
    this.#phase = 0;
    return this.#emit(MARK, this.buffer.length);
  }

  // What begins with "<!".
  #declaration(buffer, at) {
    const left = buffer.length - at - 2;
    if (left < 7 && !this.#finished) {
      const begun = lower(buffer.slice(at + 2));
      if (["--", "doctype", "[cdata["].some((each) => each !== begun && each.startsWith(begun))) return MORE;
    }
    if (buffer.startsWith("--", at + 2)) return this.#comment(buffer, at + 4);
    DOCTYPE_NAME.lastIndex = at + 2;
    if (DOCTYPE_NAME.test(buffer)) return this.#upToClose(buffer, at + 9, DOCTYPE);
    if (this.cdata && buffer.startsWith("[CDATA[", at + 2)) {
      this.#mode = CDATA;
      return this.#emit(MARK, at + 9);
    }
    return this.#bogus(buffer, at + 2);
  }

  #bogus(buffer, from) {
    return this.#upToClose(buffer, from, COMMENT);
  }

  #upToClose(buffer, from, kind) {
    const close = buffer.indexOf(">", Math.max(from, this.#scan));
    this.inside = from;
    if (close >= 0) {
      this.outside = close;
      return this.#emit(kind, close + 1);
    }
    this.#scan = buffer.length;
    if (!this.#finished) return MORE;
    this.outside = buffer.length;
    return this.#emit(kind, buffer.length);
  }

  #comment(buffer, from) {
    this.inside = from;
    if (from + 1 >= buffer.length && !this.#finished) return MORE;
    const abrupt = buffer[from] === ">" ? 1 : buffer.startsWith("->", from) ? 2 : 0;
    if (abrupt > 0) {
      this.outside = from;
      return this.#emit(COMMENT, from + abrupt);
    }
    for (let place = buffer.indexOf("--", Math.max(from, this.#scan)); place >= 0; ) {
      const after = buffer[place + 2];
      if (after === ">" || (after === "!" && buffer[place + 3] === ">")) {
        this.outside = place;
        return this.#emit(COMMENT, place + (after === ">" ? 3 : 4));
      }
      place = buffer.indexOf("--", place + 1);
    }
    this.#scan = Math.max(from, buffer.length - 3);
    if (!this.#finished) return MORE;
    this.outside = buffer.length - (/--!$|--?$/.exec(buffer.slice(Math.max(from, buffer.length - 3)))?.[0].length ?? 0);
    return this.#emit(COMMENT, buffer.length);
  }

  #escapable(buffer, at) {
    const size = this.#element.length;
    for (let open = buffer.indexOf("</", at); open >= 0; open = buffer.indexOf("</", open + 2)) {
      const after = lower(buffer.slice(open + 2, open + 2 + size));
      if (!this.#element.startsWith(after)) continue;
      const delimiter = buffer[open + 2 + size];
      if (delimiter === undefined) {
        if (this.#finished) break;
        return open > at ? this.#emit(TEXT, open) : MORE;
      }
      if (!/[\t\n\f\r />]/.test(delimiter)) continue;
      return open > at ? this.#emit(TEXT, open) : this.#begin(at + 2, true);
    }
    return this.#restOfText(buffer, at, buffer.endsWith("<") ? buffer.length - 1 : buffer.length);
  }

  #restOfText(buffer, at, until) {
    if (this.#finished) return this.#emit(TEXT, buffer.length);
    return until > at ? this.#emit(TEXT, until) : MORE;
  }

  #script(buffer, at) {
    let from = at;
    for (;;) {
      const open = this.#escaped === 0 ? this.#plainMark(buffer, from) : this.#escapedMark(buffer, from);
      if (open < 0) break;
      if (this.#scan === 0) return open > at ? this.#emit(TEXT, open) : this.#begin(at + 2, true);
      from = this.#scan;
    }
    // What may be the beginning of one of the marks waits for the rest of it.
    let until = Math.max(from, buffer.length - "</script".length);
    while (until < buffer.length && buffer[until] !== "<" && buffer[until] !== "-") until += 1;
    return this.#restOfText(buffer, at, until);
  }

  // Where the next mark is, or -1; `#scan` is where to go on then, or 0 if it is the end tag.
  #plainMark(buffer, from) {
    for (let open = buffer.indexOf("<", from); open >= 0; open = buffer.indexOf("<", open + 1)) {
      SCRIPT_MARK.lastIndex = open;
      if (!SCRIPT_MARK.test(buffer)) continue;
      const begins = buffer[open + 1] === "!";
      if (begins) this.#escaped = 1;
      this.#scan = begins ? open + 2 : 0; // "<!-->" begins and ends it
      return open;
    }
    return -1;
  }

  #escapedMark(buffer, from) {
    ESCAPED.lastIndex = from;
    for (;;) {
      const found = ESCAPED.exec(buffer);
      if (found === null) return -1;
      this.#scan = ESCAPED.lastIndex;
      const twice = this.#escaped === 2;
      if (found[1] === undefined) this.#escaped = 0;
      else if (found[1] === "") this.#escaped = 2;
      else if (twice) this.#escaped = 1;
      else this.#scan = 0;
      return found.index;
    }
  }

  #cdata(buffer, at) {
    const close = buffer.indexOf("]]>", at);
    if (close === at) {
      this.#mode = DATA;
      return this.#emit(MARK, at + 3);
    }
    if (close > 0) return this.#emit(TEXT, close);
    let until = buffer.length;
    if (buffer.endsWith("]]")) until -= 2;
    else if (buffer.endsWith("]")) until -= 1;
    return this.#restOfText(buffer, at, until);
  }
}

const VALUES = { __proto__: null, '"': IN_DOUBLE_QUOTES, "'": IN_SINGLE_QUOTES };

const ANY_VALUE = String.raw`"([^"]*)"|'([^']*)'|([^\t\n\f\r >"'][^\t\n\f\r >]*)|`;
const ATTRIBUTE = new RegExp(
  String.raw`([\t\n\f\r /]*)([^\t\n\f\r />][^\t\n\f\r />=]*)(?:[\t\n\f\r ]*=[\t\n\f\r ]*(?:${ANY_VALUE}))?`,
  "y",
);
const MOST_ATTRIBUTES = 65536;

/** The attributes of a start tag, from what stands between its name and its end: { name, value, raw } of each. */
export function attributesOf(text) {
  const found = [];
  ATTRIBUTE.lastIndex = 0;
  for (;;) {
    const match = ATTRIBUTE.exec(text);
    if (match === null) return found;
    if (found.length >= MOST_ATTRIBUTES) throw new TypeError("Parser error: The memory limit has been exceeded.");
    found.push({
      name: lower(match[2]),
      value: match[3] ?? match[4] ?? match[5] ?? "",
      raw: match[0].slice(match[1].length),
    });
  }
}

// An identifier that is not closed ends with the declaration.
const IDENTIFIER = String.raw`(?:"([^"]*)"?|'([^']*)'?)`;
const DECLARED = new RegExp(
  String.raw`^[\t\n\f\r ]*([^\t\n\f\r ]+)` +
    String.raw`(?:[\t\n\f\r ]+(public|system)[\t\n\f\r ]*${IDENTIFIER}(?:[\t\n\f\r ]*${IDENTIFIER})?)?`,
  "i",
);

/** { name, publicId, systemId } of what a document type declares, null for what it does not. */
export function declared(text) {
  const match = DECLARED.exec(text);
  if (match === null) return { name: null, publicId: null, systemId: null };
  const [, name, keyword] = match;
  const first = match[3] ?? match[4] ?? null;
  const second = match[5] ?? match[6] ?? null;
  const isPublic = keyword !== undefined && keyword.toLowerCase() === "public";
  return {
    name: lower(name),
    publicId: isPublic ? first : null,
    systemId: isPublic ? second : first,
  };
}
