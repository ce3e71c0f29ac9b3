// The elements that are open, as far as the tokenizer and the selectors need them. This is no tree: an end tag ends the
// last element of its name and all that is open in it, and no element is closed by a start tag, but where HTML leaves
// foreign content (https://html.spec.whatwg.org/#parsing-main-inforeign). lol-html has it so.

import { OUTSIDE } from "pyworkerd:web/html/matching";
import { DATA, ESCAPABLE, PLAINTEXT, SCRIPT, lower } from "pyworkerd:web/html/tokenizer";
import { inherit } from "pyworkerd:web/idl";

export const HTML = "http://www.w3.org/1999/xhtml";
const SVG = "http://www.w3.org/2000/svg";
const MATH = "http://www.w3.org/1998/Math/MathML";

const MOST_OPEN = 65536;
const MANY_NAMES = 1024; // after which those are forgotten that no open element has
const MOST_TYPES = 65536; // names of children of one element

const words = (text) => new Set(text.split(/\s+/));
const VOID = words(
  "area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr",
);
const TEXTS = {
  __proto__: null,
  textarea: ESCAPABLE,
  title: ESCAPABLE,
  style: ESCAPABLE,
  iframe: ESCAPABLE,
  xmp: ESCAPABLE,
  noembed: ESCAPABLE,
  noframes: ESCAPABLE,
  noscript: ESCAPABLE,
  script: SCRIPT,
  plaintext: PLAINTEXT,
};
const LEAVES_FOREIGN = words(
  `b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta nobr
   ol p pre ruby s small span strong strike sub sup table tt u ul var`,
);
const HTML_IN_SVG = words("foreignobject desc title");
const TEXT_IN_MATH = words("mi mo mn ms mtext");
const ENCODINGS_OF_HTML = words("text/html application/xhtml+xml");

// What an element is for what is in it.
const PLAIN = 0;
const HOLDS_HTML = 1; // HTML integration point
const HOLDS_TEXT = 2; // MathML text integration point

class Open {
  constructor(name, namespace, point, tag, place) {
    this.name = name;
    if (namespace !== HTML) this.namespace = namespace;
    if (point !== PLAIN) this.point = point;
    this.tag = tag;
    this.place = place;
  }

  get isHtml() { return this.namespace === HTML; }

  // Whether selectors ask something of what is in it.
  get isAsked() { return this.forChildren.length > 0 || this.forAll.length > 0; }

  attribute(name) {
    return this.tag.attributes.find((each) => each.name === name)?.value;
  }

  // Whether a start tag in it is read as HTML has it.
  takesHtml(name) {
    if (this.namespace === HTML || this.point === HOLDS_HTML) return true;
    if (this.point === HOLDS_TEXT) return name !== "mglyph" && name !== "malignmark";
    return name === "svg" && this.name === "annotation-xml";
  }
}

inherit(Open, {
  namespace: HTML,
  point: PLAIN,
  children: 0,
  types: null, // how many children of each name, where selectors ask
  placeOfType: 0,
  forChildren: OUTSIDE.forChildren,
  forAll: OUTSIDE.forAll,
  means: null, // the registrations whose texts and comments are in it
  changes: null, // of the element, where its end has any
  isMuted: false, // nothing of its content goes out
  isLight: false,
  isQuiet: false,
  isEmpty: false,
  kind: null,
});

// What is known of the elements of a name, and stands for one of them that is open where nothing else has to be known.
class Name {
  open = 0;
  isLight = true;

  constructor(name, isAsked) {
    this.name = name;
    this.isVoid = VOID.has(name);
    this.isUsual = !isAsked && !(name in TEXTS) && name !== "svg" && name !== "math";
  }

  get kind() { return this; }
}

export class Elements {
  #open = []; // `Open`, or a `Name`
  #root = new Open("", HTML, PLAIN, null, 0);
  #names = new Map();
  #manyNames = MANY_NAMES;
  #matcher;
  #isQuiet; // a start tag here means nothing but its name

  constructor(matcher) {
    this.#matcher = matcher;
    this.#root.isQuiet = this.#isQuiet = matcher.asksNames();
  }

  get innermost() {
    const open = this.#open.at(-1);
    return open === undefined || open.isLight ? this.#root : open;
  }

  /** Whether a CDATA section can begin. */
  get isForeign() { return this.innermost.namespace !== HTML; }

  #named(name) {
    let known = this.#names.get(name);
    if (known === undefined) {
      known = new Name(name, this.#matcher.byName.has(name));
      if (this.#names.size >= this.#manyNames) this.#forgetNames();
      this.#names.set(name, known);
    }
    return known;
  }

  #forgetNames() {
    for (const [name, known] of this.#names) if (known.open === 0) this.#names.delete(name);
    this.#manyNames = Math.max(MANY_NAMES, 2 * this.#names.size); // to look at all of them again and again takes long
  }

  /** Whether a start tag of this name needed no more than this: no selector asks for it, and its text is none of the
   *  special kinds. */
  passStart(name) {
    if (!this.#isQuiet) return false;
    const known = this.#named(name);
    if (!known.isUsual) return false;
    if (!known.isVoid) this.#push(known);
    return true;
  }

  /** Whether an end tag of this name needed no more than this: nothing depends on the element that it ends. */
  passEnd(name) {
    const known = this.#names.get(name);
    if (known === undefined || this.#open.at(-1) !== known) return false;
    this.#open.pop();
    known.open -= 1;
    this.#settle();
    return true;
  }

  // Where a light element is the innermost, all is as it was when its start tag came.
  #settle() {
    const open = this.#open.at(-1);
    this.#isQuiet = open === undefined ? this.#root.isQuiet : open.isLight || open.isQuiet;
  }

  /** The elements that are ended by a start tag, innermost first. `tag` has `name` and `attributes`. */
  endedByStart(tag) {
    if (!this.isForeign || this.innermost.takesHtml(tag.name) || !leavesForeign(tag)) return [];
    return this.#takeForeign();
  }

  #takeForeign() {
    const ended = [];
    while (this.isForeign && this.innermost.point === PLAIN) ended.push(this.#take());
    return ended;
  }

  /** The elements that are ended by an end tag, innermost first; the last of them is its own if `isOwn`. */
  endedByEnd(name) {
    const ended = [];
    if (this.isForeign && (name === "p" || name === "br")) ended.push(...this.#takeForeign());
    const known = this.#names.get(name);
    const isOwn = known !== undefined && known.open > 0;
    if (isOwn) {
      for (let open = this.#take(); ; open = this.#take()) {
        ended.push(open);
        if (open.kind === known) break;
      }
    }
    return { ended, isOwn };
  }

  /** All that are open, innermost first. */
  takeAll() {
    return this.#open.reverse();
  }

  #take() {
    const open = this.#open.pop();
    open.kind.open -= 1;
    this.#settle();
    return open;
  }

  /** The element that a start tag begins, not open yet. `isEmpty` says whether it can have no content. */
  begin(tag) {
    const { name } = tag;
    const parent = this.innermost;
    let namespace = parent.namespace;
    if (parent.takesHtml(name)) namespace = name === "svg" ? SVG : name === "math" ? MATH : HTML;
    parent.children += 1;
    const open = new Open(name, namespace, pointOf(namespace, tag), tag, parent.children);
    open.kind = this.#named(name);
    if (this.#matcher.countsTypes) open.placeOfType = countType(parent, name);
    open.isEmpty = namespace === HTML ? open.kind.isVoid : tag.selfClosing;
    return open;
  }

  push(open) {
    open.isQuiet = this.#root.isQuiet && open.namespace === HTML && !open.isAsked;
    this.#push(open);
    this.#isQuiet = open.isQuiet;
  }

  #push(open) {
    if (this.#open.length >= MOST_OPEN) throw new TypeError("Parser error: The memory limit has been exceeded.");
    this.#open.push(open);
    open.kind.open += 1;
  }

  /** Remember no more of the innermost element than its name, if that is all that is needed. */
  lighten() {
    const open = this.#open.at(-1);
    if (open.isQuiet) this.#open[this.#open.length - 1] = open.kind;
  }
}

function countType(parent, name) {
  parent.types ??= new Map();
  const place = (parent.types.get(name) ?? 0) + 1;
  if (parent.types.size >= MOST_TYPES && place === 1) {
    throw new TypeError("Parser error: The memory limit has been exceeded.");
  }
  parent.types.set(name, place);
  return place;
}

function leavesForeign(tag) {
  if (tag.name !== "font") return LEAVES_FOREIGN.has(tag.name);
  return tag.attributes.some(({ name }) => name === "color" || name === "face" || name === "size");
}

function pointOf(namespace, tag) {
  if (namespace === SVG) return HTML_IN_SVG.has(tag.name) ? HOLDS_HTML : PLAIN;
  if (namespace !== MATH) return PLAIN;
  if (TEXT_IN_MATH.has(tag.name)) return HOLDS_TEXT;
  if (tag.name !== "annotation-xml") return PLAIN;
  const encoding = tag.attributes.find((each) => each.name === "encoding");
  return encoding !== undefined && ENCODINGS_OF_HTML.has(lower(encoding.value)) ? HOLDS_HTML : PLAIN;
}

/** The kind of text that follows the start tag of an element. */
export const textAfter = (open) => (open.namespace === HTML ? (TEXTS[open.name] ?? DATA) : DATA);
