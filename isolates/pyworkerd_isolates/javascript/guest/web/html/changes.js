// What is to become of a token: what its handlers have asked for, in the document's bytes. All handlers of a token
// share it; see `tokens.js` for what they see of it.

import { lower } from "pyworkerd:web/html/tokenizer";
import { inherit } from "pyworkerd:web/idl";

const NOT_IN_NAME = /[\t\n\f\r />]/;
const NOT_IN_ATTRIBUTE = /[\t\n\f\r />=]/;

const NONE = Object.freeze([]);
const wrong = (message) => new TypeError(`Parser error: ${message}`);

/** What is to become of a token. Each list is of what is inserted: bytes as a text, or { body, html } of a stream. */
export class Changes {
  constructor(charset) {
    this.charset = charset;
  }

  get isNone() {
    return !this.removed && this.before === NONE && this.after === NONE;
  }

  addBefore(content) {
    if (this.before === NONE) this.before = [content];
    else this.before.push(content);
  }

  // The last that was inserted comes first.
  addAfter(content) {
    if (this.after === NONE) this.after = [content];
    else this.after.unshift(content);
  }

  replace(content) {
    this.removed = true;
    this.replacement = [content];
  }
}
inherit(Changes, { before: NONE, replacement: NONE, after: NONE, removed: false });

export class TextChanges extends Changes {
  constructor(charset, raw, last) {
    super(charset);
    this.raw = raw;
    this.last = last;
  }

  get text() { return this.charset.decode(this.raw); }
}

/** A name or a comment, in which HTML has no U+0000. */
export const decoded = (charset, text) => charset.decode(text).replaceAll("\0", "\ufffd");

export class CommentChanges extends Changes {
  constructor(charset, raw, text) {
    super(charset);
    this.raw = raw;
    this.text = decoded(charset, text);
  }

  setText(text) {
    if (/^-?>|--!?>/.test(text)) throw wrong("Comment text shouldn't contain comment closing sequence (`-->`).");
    if (!this.charset.has(text)) throw unencodable("comment text");
    this.text = text;
    this.raw = `<!--${this.charset.encode(text)}-->`;
  }
}

const unencodable = (what) =>
  wrong(`The ${what} contains a character that can't be represented in the document's character encoding.`);

/** A name for a tag, in the document's bytes. */
export function checkedName(charset, name) {
  if (name === "") throw wrong("Tag name can't be empty.");
  if (!/^[a-zA-Z]/.test(name)) {
    throw wrong("The first character of the tag name should be an ASCII alphabetical character.");
  }
  const forbidden = NOT_IN_NAME.exec(name);
  if (forbidden !== null) throw wrong(`\`${forbidden[0]}\` character is forbidden in the tag name`);
  if (!charset.has(name)) throw unencodable("tag name");
  return charset.encode(name);
}

/** An end tag, with what the element that it ends has appended. */
class EndTagChanges extends Changes {}
inherit(EndTagChanges, {
  given: null, // its name
  name: null, // another one
  handler: null,
});

/** A start tag, and with it the element. `tag` has `name`, `raw`, `attributes` and `selfClosing`. Where it `isEmpty` it
 *  can have no content. */
export class ElementChanges extends Changes {
  constructor(charset, tag, namespace, isEmpty) {
    super(charset);
    this.name = tag.name;
    this.tag = tag;
    this.namespace = namespace;
    this.isEmpty = isEmpty;
  }

  get raw() { return this.isRewritten ? this.#write() : this.tag.raw; }

  get ending() {
    return (this.end ??= new EndTagChanges(this.charset));
  }

  rename(name) {
    this.renamed = checkedName(this.charset, name);
    this.name = lower(this.renamed);
    this.isRewritten = true;
    if (!this.isEmpty) this.ending.name = this.renamed;
  }

  find(name) {
    const wanted = lower(this.charset.encode(name));
    return this.tag.attributes.find((each) => each.name === wanted);
  }

  set(name, value) {
    if (name === "") throw wrong("Attribute name can't be empty.");
    const forbidden = NOT_IN_ATTRIBUTE.exec(name);
    if (forbidden !== null) throw wrong(`\`${forbidden[0]}\` character is forbidden in the attribute name`);
    if (!this.charset.has(name)) throw unencodable("attribute name");
    const encoded = this.charset.encode(value);
    const found = this.find(name);
    const attribute = found ?? { name: lower(this.charset.encode(name)) };
    attribute.value = encoded;
    attribute.raw = `${attribute.name}="${encoded.replaceAll('"', "&quot;")}"`;
    if (found === undefined) this.tag.attributes.push(attribute);
    this.isRewritten = true;
  }

  // All of this name: browsers take the first one, and would take the next one then.
  unset(name) {
    const unwanted = lower(this.charset.encode(name));
    const { attributes } = this.tag;
    let kept = 0;
    for (const each of attributes) if (each.name !== unwanted) attributes[kept++] = each;
    if (kept === attributes.length) return;
    attributes.length = kept;
    this.isRewritten = true;
  }

  removeContent() {
    this.after = NONE;
    this.ending.before = NONE;
    this.removesContent = true;
  }

  #write() {
    const { attributes, selfClosing } = this.tag;
    const written = attributes.map((each) => ` ${each.raw}`).join("");
    // The space: an attribute without quotes would take the slash for its own.
    const close = selfClosing ? (attributes.length > 0 ? " />" : "/>") : ">";
    const name = this.renamed ?? this.tag.raw.slice(1, 1 + this.tag.name.length);
    return `<${name}${written}${close}`;
  }
}
inherit(ElementChanges, { end: null, removesContent: false, isRewritten: false, renamed: null });
