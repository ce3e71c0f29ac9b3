// What handlers get: an element, a text and so on, as objects that are good for one call of one handler. Behind them
// are the changes of the token, which all handlers of it share.

import { extractBody } from "pyworkerd:web/body";
import { checkedName, decoded } from "pyworkerd:web/html/changes";
import { dictionary, expose, requireArguments, requireFunction } from "pyworkerd:web/idl";
import { isReadable } from "pyworkerd:web/readable";
import { Response, takeResponse } from "pyworkerd:web/response";

const GONE =
  "This content token is no longer valid. Content tokens are only valid during the execution of the relevant content " +
  "handler.";
const MAKING = Symbol("a token is made here");
const REFERENCES = { __proto__: null, "&": "&amp;", "<": "&lt;", ">": "&gt;" };

let changesOf, release;

class Token {
  #changes;

  constructor(making, changes) {
    if (making !== MAKING) throw new TypeError("Illegal constructor");
    this.#changes = changes;
  }

  static {
    changesOf = (token) => {
      const changes = token.#changes;
      if (changes === null) throw new TypeError(GONE);
      return changes;
    };
    release = (token) => {
      token.#changes = null;
    };
  }
}

// What is inserted, as one piece of it.
function contentOf(charset, content, options) {
  const html = Boolean(dictionary(options, "HTMLRewriter").html);
  if (content instanceof Response) return { body: takeResponse(content).body, html };
  if (isReadable(content)) return { body: extractBody(content).take(), html };
  return written(charset, `${content}`, html);
}

/** A text as the document's bytes, so that it is HTML, or means itself. */
export function written(charset, text, html) {
  return charset.encode(html ? text : text.replace(/[&<>]/g, (each) => REFERENCES[each]));
}

function insert(token, count, content, options, action) {
  const changes = changesOf(token);
  requireArguments(count, 1, "a method that inserts content");
  action(changes, contentOf(changes.charset, content, options));
  return token;
}

/** The members that most tokens have. */
function mixInChanges(kind) {
  const members = {
    get removed() { return changesOf(this).removed; },
    before(content, options = undefined) {
      return insert(this, arguments.length, content, options, (changes, made) => changes.addBefore(made));
    },
    after(content, options = undefined) {
      return insert(this, arguments.length, content, options, (changes, made) => changes.addAfter(made));
    },
    replace(content, options = undefined) {
      return insert(this, arguments.length, content, options, (changes, made) => changes.replace(made));
    },
    remove() {
      changesOf(this).removed = true;
      return this;
    },
  };
  Object.defineProperties(kind.prototype, Object.getOwnPropertyDescriptors(members));
}

export class Text extends Token {
  get text() { return changesOf(this).text; }
  get lastInTextNode() { return changesOf(this).last; }
}
mixInChanges(Text);
expose(Text);

export class Comment extends Token {
  get text() { return changesOf(this).text; }
  set text(text) { changesOf(this).setText(`${text}`); }
}
mixInChanges(Comment);
expose(Comment);

export class Doctype extends Token {
  get name() { return changesOf(this).name; }
  get publicId() { return changesOf(this).publicId; }
  get systemId() { return changesOf(this).systemId; }
}
expose(Doctype);

export class DocumentEnd extends Token {
  append(content, options = undefined) {
    return insert(this, arguments.length, content, options, (changes, made) => changes.addBefore(made));
  }
}
expose(DocumentEnd);

export class EndTag extends Token {
  get name() {
    const { charset, name, given } = changesOf(this);
    return decoded(charset, name ?? given);
  }
  set name(name) {
    const changes = changesOf(this);
    changes.name = checkedName(changes.charset, `${name}`);
  }
  before(content, options = undefined) {
    return insert(this, arguments.length, content, options, (changes, made) => changes.addBefore(made));
  }
  after(content, options = undefined) {
    return insert(this, arguments.length, content, options, (changes, made) => changes.addAfter(made));
  }
  remove() {
    changesOf(this).removed = true;
    return this;
  }
}
expose(EndTag);

export class Element extends Token {
  get tagName() {
    const { charset, name } = changesOf(this);
    return decoded(charset, name);
  }
  set tagName(name) { changesOf(this).rename(`${name}`); }
  get attributes() { return new Attributes(MAKING, this); }
  get removed() { return changesOf(this).removed; }
  get namespaceURI() { return changesOf(this).namespace; }

  getAttribute(name) {
    const changes = changesOf(this);
    requireArguments(arguments.length, 1, "'getAttribute' on 'Element'");
    const found = changes.find(`${name}`);
    return found === undefined ? null : decoded(changes.charset, found.value);
  }

  hasAttribute(name) {
    const changes = changesOf(this);
    requireArguments(arguments.length, 1, "'hasAttribute' on 'Element'");
    return changes.find(`${name}`) !== undefined;
  }

  setAttribute(name, value) {
    const changes = changesOf(this);
    requireArguments(arguments.length, 2, "'setAttribute' on 'Element'");
    changes.set(`${name}`, `${value}`);
    return this;
  }

  removeAttribute(name) {
    const changes = changesOf(this);
    requireArguments(arguments.length, 1, "'removeAttribute' on 'Element'");
    changes.unset(`${name}`);
    return this;
  }

  before(content, options = undefined) {
    return insert(this, arguments.length, content, options, (changes, made) => changes.addBefore(made));
  }

  after(content, options = undefined) {
    return insert(this, arguments.length, content, options, (changes, made) => {
      (changes.isEmpty ? changes : changes.ending).addAfter(made);
    });
  }

  // An element that can have no content gets none.
  prepend(content, options = undefined) {
    return insert(this, arguments.length, content, options, (changes, made) => {
      if (!changes.isEmpty) changes.addAfter(made);
    });
  }

  append(content, options = undefined) {
    return insert(this, arguments.length, content, options, (changes, made) => {
      if (!changes.isEmpty) changes.ending.addBefore(made);
    });
  }

  setInnerContent(content, options = undefined) {
    return insert(this, arguments.length, content, options, (changes, made) => {
      if (changes.isEmpty) return;
      changes.removeContent();
      changes.after = [made];
    });
  }

  replace(content, options = undefined) {
    return insert(this, arguments.length, content, options, (changes, made) => {
      changes.replace(made);
      removeRest(changes);
    });
  }

  remove() {
    const changes = changesOf(this);
    changes.removed = true;
    removeRest(changes);
    return this;
  }

  removeAndKeepContent() {
    const changes = changesOf(this);
    changes.removed = true;
    if (!changes.isEmpty) changes.ending.removed = true;
    return this;
  }

  onEndTag(handler) {
    const changes = changesOf(this);
    requireFunction(handler, "onEndTag");
    if (changes.isEmpty) throw new TypeError("Parser error: No end tag.");
    changes.ending.handler = handler;
  }
}
expose(Element);

function removeRest(changes) {
  if (changes.isEmpty) return;
  changes.removeContent();
  changes.ending.removed = true;
}

class Attributes {
  #element;
  #at = 0;

  constructor(making, element) {
    if (making !== MAKING) throw new TypeError("Illegal constructor");
    changesOf(element);
    this.#element = element;
  }

  next() {
    const changes = changesOf(this.#element);
    const found = changes.tag.attributes[this.#at];
    if (found === undefined) return { value: undefined, done: true };
    this.#at += 1;
    const { charset } = changes;
    return { value: [decoded(charset, found.name), decoded(charset, found.value)], done: false };
  }
}
delete Attributes.prototype.constructor;
Object.setPrototypeOf(Attributes.prototype, Iterator.prototype);
Object.defineProperty(Attributes.prototype, "next", { enumerable: true });

/** Call handlers of a token one after the other, each with an object of its own. A promise if one of them gave one. */
export function call(handlers, Kind, changes, from = 0) {
  for (let at = from; at < handlers.length; at += 1) {
    const token = new Kind(MAKING, changes);
    let waiting;
    try {
      waiting = handlers[at](token);
    } catch (error) {
      release(token);
      throw error;
    }
    if (typeof waiting?.then === "function") return goOn(waiting, token, handlers, Kind, changes, at + 1);
    release(token);
  }
  return undefined;
}

async function goOn(waiting, token, handlers, Kind, changes, from) {
  try {
    await waiting;
  } finally {
    release(token);
  }
  return call(handlers, Kind, changes, from);
}
