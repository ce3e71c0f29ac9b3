// What requests and responses have in common: headers that are made when they are asked for.

import { Headers, headersFromPairs, lock, lookUp, pairsOf, setIfAbsent } from "pyworkerd:web/headers";
import { inherit } from "pyworkerd:web/idl";

/** `pairs`: [name, value] pairs from the host, with names in lower case; `type`: the Content-Type that a body brings,
 *  where the headers have none. */
export class HeaderState {
  constructor(headers, pairs, type, locked) {
    if (headers !== null) this.made = headers;
    if (pairs !== null) this.pairs = pairs;
    if (type !== null) this.type = type;
    if (locked) this.locked = locked;
    if (headers !== null && type !== null) setIfAbsent(headers, "content-type", type);
  }

  get() {
    if (this.made === null) {
      this.made = this.pairs === null ? new Headers() : headersFromPairs(this.pairs);
      this.pairs = null;
      if (this.type !== null) setIfAbsent(this.made, "content-type", this.type);
      if (this.locked) lock(this.made);
    }
    return this.made;
  }

  contentType() {
    if (this.made === null && this.pairs === null) return this.type;
    return lookUp(this.get(), "content-type");
  }

  /** For the host: all of them as pairs. */
  list() {
    if (this.made !== null) return pairsOf(this.made);
    if (this.pairs !== null) return this.pairs;
    return this.type === null ? [] : [["content-type", this.type]];
  }
}
inherit(HeaderState, { made: null, pairs: null, type: null, locked: false });
