// Durable Objects that other workers have: namespaces on `env`, ids, stubs.

import { random, utf8 } from "pyworkerd:system/host";
import { Fetcher, withMethods } from "pyworkerd:workers/fetcher";
import { HmacKey } from "pyworkerd:web/digest";
import { Capability } from "pyworkerd:workers/capability";

const HALF = 16;
// Bytes of an id that say which object it is; the other half says that this namespace made it (workerd,
// actor-id-impl.c++).

const KNOWN = 256;
const KNOWN_LENGTH = 256;
// Names whose ids need not be made anew, and characters of the longest: it takes a tenth of a millisecond.

const MAX_NAME = 1024;
// Bytes of the longest name that an object is told (Workers: the same).

let makeId, madeBy, hexOf;

// Which object. `name` is the name that it was made from, where that is known.
class DurableObjectId {
  #hex;
  #namespace;

  constructor(hex, name, namespace) {
    this.#hex = hex;
    this.#namespace = namespace;
    if (name !== undefined) this.name = name;
    Object.freeze(this);
  }

  static {
    makeId = (hex, name, namespace) => new DurableObjectId(hex, name, namespace);
    madeBy = (id, namespace) => id.#namespace === namespace;
    hexOf = (id) => (typeof id === "object" && id !== null && #hex in id ? id.#hex : null);
  }

  // 64 hexadecimal digits, for `idFromString`.
  toString() {
    return this.#hex;
  }

  // Whether both mean the same object.
  equals(other) {
    return this.#hex === hexOf(other);
  }
}

// The id of the object that this isolate is; its name may be null.
export function ownId(hex, name) {
  return makeId(hex, name ?? undefined, null);
}

// Half a surrogate pair is no text for anybody else.
const isTold = (name) => name !== undefined && name.isWellFormed() && utf8(name).length <= MAX_NAME;

// One object, wherever it lives: `fetch()` sends it a request, any other name is one of its methods.
class DurableObjectStub extends Fetcher {
  constructor(index, id) {
    super(isTold(id.name) ? [index, hexOf(id), id.name] : [index, hexOf(id)]);
    this.id = id;
    if (id.name !== undefined) this.name = id.name;
  }
}

// All objects of a class.
export class DurableObjectNamespace extends Capability {
  #index;
  #key;
  #known = new Map();

  constructor(index, key) {
    super(index);
    this.#index = index;
    this.#key = new HmacKey("SHA-256", key);
  }

  #mac(bytes) {
    return this.#key.sign(bytes).subarray(0, HALF);
  }

  #id(half, name) {
    return makeId(half.toHex() + this.#mac(half).toHex(), name, this);
  }

  // The id of the object of this name: always the same.
  idFromName(name) {
    if (typeof name !== "string") throw new TypeError(`a name is a string, not ${typeof name}`);
    let id = this.#known.get(name);
    if (id !== undefined) return id;
    id = this.#id(this.#mac(utf8(name)), name);
    if (name.length <= KNOWN_LENGTH) {
      if (this.#known.size === KNOWN) this.#known.clear();
      this.#known.set(name, id);
    }
    return id;
  }

  // An id that nobody has had before, and nobody can guess.
  newUniqueId(options) {
    if (options?.jurisdiction !== undefined && options.jurisdiction !== null) this.jurisdiction();
    return this.#id(random(HALF));
  }

  // The id that was this text. A TypeError for what this namespace has not made.
  idFromString(text) {
    if (typeof text !== "string" || !/^[0-9a-f]{64}$/i.test(text)) {
      throw new TypeError("Invalid Durable Object ID: must be 64 hex digits");
    }
    const id = this.#id(Uint8Array.fromHex(text.slice(0, 2 * HALF)));
    if (hexOf(id) !== text.toLowerCase()) throw new TypeError("Durable Object ID is not valid for this namespace.");
    return id;
  }

  // The object of this id, as a stub: nothing is asked yet. There is one place, so hints mean nothing.
  get(id) {
    const hex = hexOf(id);
    if (hex === null) throw new TypeError(`get() takes a DurableObjectId, not ${id === null ? "null" : typeof id}`);
    if (!madeBy(id, this)) this.idFromString(hex);
    return withMethods(new DurableObjectStub(this.#index, id));
  }

  // The object of this name, as a stub.
  getByName(name) {
    return this.get(this.idFromName(name));
  }

  // There are none here.
  jurisdiction() {
    throw new Error("Jurisdiction restrictions are not implemented.");
  }
}
