// JSON.parse that throws for a text that is too deep. The engine's own would use up its stack and end the isolate with
// all its requests, and such a text may be anybody's: a client's, or another worker's.

import { nesting } from "pyworkerd:system/host";

const DEEPEST = 5000;

/** The engine's own: for what the host has written. */
export const { parse } = JSON;

JSON.parse = {
  parse(text, reviver) {
    const string = typeof text === "string" ? text : `${text}`;
    if (string.length > DEEPEST && nesting(string) > DEEPEST) {
      throw new RangeError(`JSON that is more than ${DEEPEST} levels deep cannot be parsed`);
    }
    return reviver === undefined ? parse(string) : parse(string, reviver);
  },
}.parse;
