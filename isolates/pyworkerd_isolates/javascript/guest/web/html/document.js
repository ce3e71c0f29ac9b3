// A document on its way through the handlers. What comes out is a list of pieces: bytes, each a character of a text,
// and streams whose content is inserted. What nobody has changed is cut out of the input as it is.

import { Changes, CommentChanges, ElementChanges, TextChanges } from "pyworkerd:web/html/changes";
import { Elements, textAfter } from "pyworkerd:web/html/elements";
import { Matcher } from "pyworkerd:web/html/matching";
import { Comment, Doctype, DocumentEnd, Element, EndTag, Text, call } from "pyworkerd:web/html/tokens";
import {
  COMMENT, DATA, DOCTYPE, END, END_TAG, MARK, MORE, START_TAG, TEXT, Tokenizer, attributesOf, declared,
} from "pyworkerd:web/html/tokenizer";

const ENOUGH = 65536;
// Bytes after which the pieces have to be taken before the document goes on.

// A start tag where the tokenizer is.
class Tag {
  #tokenizer;
  #attributes = null;

  constructor(tokenizer) {
    this.#tokenizer = tokenizer;
    this.name = tokenizer.name;
    this.selfClosing = tokenizer.selfClosing;
  }

  get raw() {
    const { buffer, start, end } = this.#tokenizer;
    return buffer.slice(start, end);
  }

  get attributes() {
    if (this.#attributes === null) {
      const { buffer, inside, outside } = this.#tokenizer;
      this.#attributes = attributesOf(buffer.slice(inside, outside));
    }
    return this.#attributes;
  }
}

// The handlers of a selector in this document.
class Registration {
  constructor({ element, comments, text }) {
    this.forElement = element === undefined ? [] : [element];
    this.comments = comments;
    this.text = text;
    this.hears = comments !== undefined || text !== undefined;
    this.open = 0; // elements that it means, and that are open
  }
}

export class HtmlDocument {
  pieces = [];
  #size = 0; // of the pieces that are bytes
  #most = ENOUGH; // of that
  #tokenizer = new Tokenizer();
  #charset;
  #handlers; // of the document: lists of functions by kind
  #registrations; // of selectors
  #matcher;
  #elements;
  #copied = 0; // what of the input has gone out, or been left out
  #muted = 0; // elements that are open whose content is left out
  #listening = { comments: [], text: [] }; // handlers that hear of the next comment or text
  #isStale = false; // whether those are others now
  #inText = false;
  #left = ""; // bytes of a character that is not complete

  /** `handlers`: of the document, { doctype, comments, text, end }, each a list of functions. `registrations`: of
   *  elements, in order, { selectors, element, comments, text }, with a function or undefined each. */
  constructor(charset, handlers, registrations) {
    this.#charset = charset;
    this.#handlers = handlers;
    this.#registrations = registrations.map((each) => new Registration(each));
    const selectors = registrations.map((each) => each.selectors);
    this.#matcher = new Matcher(selectors, (text) => charset.encode(text));
    this.#elements = new Elements(this.#matcher);
    this.#listen();
  }

  /** More of the input; all that was written before has been gone through. */
  write(bytes) {
    this.#tokenizer.write(bytes);
    this.#copied = 0;
  }

  /** Nothing more is written. */
  finish() {
    this.#tokenizer.finish();
  }

  /** Nothing of it is wanted any more: it goes no further than the token that it is at. */
  stop() {
    this.#most = 0;
  }

  /** Goes on until the input is used up or there are enough pieces. Promises which: `true` if the input is used up. */
  async go() {
    const tokenizer = this.#tokenizer;
    while (this.#size < this.#most) {
      const kind = tokenizer.next();
      let waiting;
      switch (kind) {
        case TEXT:
          if (this.#listening.text.length > 0) waiting = this.#text();
          break;
        case START_TAG:
          waiting = this.#inText ? this.#afterText(this.#startTag) : this.#startTag();
          break;
        case END_TAG:
          waiting = this.#inText ? this.#afterText(this.#endTag) : this.#endTag();
          break;
        case COMMENT:
          waiting = this.#inText ? this.#afterText(this.#comment) : this.#comment();
          break;
        case DOCTYPE:
          waiting = this.#inText ? this.#afterText(this.#doctype) : this.#doctype();
          break;
        case MARK:
          if (this.#left !== "") waiting = this.#hearLeft();
          break;
        case END:
          await (this.#inText ? this.#afterText(this.#end) : this.#end());
          return true;
        case MORE:
          this.#pass(tokenizer.at);
          return true;
      }
      if (waiting !== undefined) await waiting;
    }
    this.#pass(tokenizer.at);
    return false;
  }

  take() {
    const { pieces } = this;
    this.pieces = [];
    this.#size = 0;
    return pieces;
  }

  #out(piece) {
    if (this.#muted > 0 || piece === "") return;
    this.pieces.push(piece);
    if (typeof piece === "string") this.#size += piece.length;
  }

  #outAll(pieces) {
    for (const piece of pieces) this.#out(piece);
  }

  // The input up to here, as it came.
  #pass(until) {
    if (until > this.#copied) {
      if (this.#muted === 0) this.#out(this.#tokenizer.buffer.slice(this.#copied, until));
      this.#copied = until;
    }
  }

  // A token with what its handlers have made of it. `raw`: itself.
  #replace({ before, replacement, after, removed }, raw) {
    this.#outAll(before);
    if (removed) this.#outAll(replacement);
    else this.#out(raw);
    this.#outAll(after);
  }

  #text() {
    const { buffer, start, end } = this.#tokenizer;
    this.#pass(start);
    this.#copied = end;
    this.#inText = true;
    let bytes = this.#left + buffer.slice(start, end);
    const left = this.#charset.left(bytes);
    this.#left = left === 0 ? "" : bytes.slice(-left);
    if (left > 0) bytes = bytes.slice(0, -left);
    if (bytes !== "") return this.#hear(bytes, false);
    return undefined;
  }

  #hear(bytes, last) {
    const changes = new TextChanges(this.#charset, bytes, last);
    const waiting = call(this.#listening.text, Text, changes);
    if (waiting !== undefined) return waiting.then(() => this.#replace(changes, bytes));
    this.#replace(changes, bytes);
    return undefined;
  }

  // What was the beginning of a character is none any more.
  #hearLeft() {
    const left = this.#left;
    this.#left = "";
    return this.#hear(left, false);
  }

  // A text is over when something else comes; that is heard as well, as a text of no length.
  async #afterText(next) {
    this.#inText = false;
    this.#pass(this.#tokenizer.start);
    if (this.#left !== "") await this.#hearLeft();
    await this.#hear("", true);
    await next.call(this);
  }

  #listen() {
    for (const kind of ["comments", "text"]) {
      const active = this.#registrations.filter((each) => each.open > 0 && each[kind] !== undefined);
      this.#listening[kind] = [...this.#handlers[kind], ...active.map((each) => each[kind])];
    }
    this.#tokenizer.skipsText = this.#listening.text.length === 0;
    this.#isStale = false;
  }

  #startTag() {
    const tokenizer = this.#tokenizer;
    if (this.#elements.passStart(tokenizer.name)) return undefined;
    const tag = new Tag(tokenizer);
    for (const ended of this.#elements.endedByStart(tag)) this.#leave(ended);
    const parent = this.#elements.innermost;
    const open = this.#elements.begin(tag);
    const found = this.#matcher.steps > 0 ? this.#matcher.open(open, parent) : null;
    if (!open.isEmpty) {
      this.#elements.push(open);
      tokenizer.cdata = this.#elements.isForeign;
      const mode = textAfter(open);
      if (mode !== DATA) tokenizer.expect(mode, open.name);
    }
    if (found !== null) return this.#found(open, found);
    if (this.#isStale) this.#listen();
    this.#begun(open, null);
    return undefined;
  }

  #found(open, found) {
    const means = found.map((index) => this.#registrations[index]);
    if (!open.isEmpty && means.some((each) => each.hears)) {
      open.means = means;
      for (const each of means) if ((each.open += 1) === 1) this.#isStale = true;
    }
    if (this.#isStale) this.#listen();
    const handlers = means.length === 1 ? means[0].forElement : means.flatMap((each) => each.forElement);
    if (handlers.length === 0) {
      this.#begun(open, null);
      return undefined;
    }
    const changes = new ElementChanges(this.#charset, open.tag, open.namespace, open.isEmpty);
    const waiting = call(handlers, Element, changes);
    if (waiting !== undefined) return waiting.then(() => this.#begun(open, changes));
    this.#begun(open, changes);
    return undefined;
  }

  #begun(open, changes) {
    open.tag = null;
    if (changes !== null) this.#change(open, changes);
    if (!open.isEmpty && open.means === null && open.changes === null) this.#elements.lighten();
  }

  #change(open, changes) {
    const { start, end } = this.#tokenizer;
    if (changes.end !== null) open.changes = changes;
    if (!changes.isNone || changes.isRewritten) {
      this.#pass(start);
      this.#replace(changes, changes.raw);
      this.#copied = end;
    }
    if (changes.removesContent) {
      this.#pass(end);
      this.#muted += 1;
      open.isMuted = true;
    }
  }

  // An element has ended, and its end tag was left out.
  #leave(open) {
    if (open.isLight) return;
    this.#close(open);
    if (open.changes === null) return;
    const { before, after } = open.changes.end;
    this.#pass(this.#tokenizer.start);
    this.#outAll(before);
    this.#outAll(after);
  }

  // Nothing more is in this element; what follows goes out.
  #close(open) {
    if (open.means !== null) {
      for (const each of open.means) if ((each.open -= 1) === 0) this.#isStale = true;
    }
    if (open.isMuted) {
      this.#pass(this.#tokenizer.start);
      this.#muted -= 1;
    }
  }

  #endTag() {
    if (this.#elements.passEnd(this.#tokenizer.name)) return undefined;
    const { ended, isOwn } = this.#elements.endedByEnd(this.#tokenizer.name);
    const own = isOwn ? ended.pop() : null;
    for (const each of ended) this.#leave(each);
    if (own !== null && !own.isLight) this.#close(own);
    if (this.#isStale) this.#listen();
    this.#tokenizer.cdata = this.#elements.isForeign;
    if (own === null || own.isLight || own.changes === null) return undefined;
    const changes = own.changes.end;
    const { buffer, start, end, name } = this.#tokenizer;
    changes.given = name;
    const put = () => {
      this.#pass(start);
      this.#replace(changes, changes.name === null ? buffer.slice(start, end) : `</${changes.name}>`);
      this.#copied = end;
    };
    const waiting = changes.handler === null ? undefined : call([changes.handler], EndTag, changes);
    if (waiting !== undefined) return waiting.then(put);
    put();
    return undefined;
  }

  #comment() {
    const handlers = this.#listening.comments;
    if (handlers.length === 0) return undefined;
    const { buffer, start, end, inside, outside } = this.#tokenizer;
    const changes = new CommentChanges(this.#charset, buffer.slice(start, end), buffer.slice(inside, outside));
    const put = () => {
      this.#pass(start);
      this.#replace(changes, changes.raw);
      this.#copied = end;
    };
    const waiting = call(handlers, Comment, changes);
    if (waiting !== undefined) return waiting.then(put);
    put();
    return undefined;
  }

  #doctype() {
    const handlers = this.#handlers.doctype;
    if (handlers.length === 0) return undefined;
    const { buffer, inside, outside } = this.#tokenizer;
    const found = declared(this.#charset.decode(buffer.slice(inside, outside)));
    return call(handlers, Doctype, found);
  }

  async #end() {
    const tokenizer = this.#tokenizer;
    tokenizer.start = tokenizer.at;
    for (const open of this.#elements.takeAll()) this.#leave(open);
    this.#pass(tokenizer.at);
    const changes = new Changes(this.#charset);
    await call(this.#handlers.end, DocumentEnd, changes);
    this.#outAll(changes.before);
  }
}
