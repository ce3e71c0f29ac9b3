// The module "node:assert/strict": every comparison is a strict one.

import { strict } from "pyworkerd:node/assert";

export {
  AssertionError, deepStrictEqual, deepStrictEqual as deepEqual, doesNotMatch, doesNotReject, doesNotThrow, fail,
  ifError, match, notDeepStrictEqual, notDeepStrictEqual as notDeepEqual, notStrictEqual, notStrictEqual as notEqual,
  ok, rejects, strict, strict as assert, strictEqual, strictEqual as equal, throws,
} from "pyworkerd:node/assert";
export default strict;
