// Runs one file of upstream's tests, and answers with how it went.

import about from "./about.json";
import * as asserts from "./asserts.js";
import { format_value } from "./format.js";
import * as harness from "./harness.js";
import source from "./source.txt";
import { surround } from "./surroundings.js";

const { AssertionError, OptionalFeatureUnsupportedError, ...assertions } = asserts;
const { STATUSES, guard, run, uncaught, ...declarations } = harness;
const evaluate = globalThis.eval; // called by another name it runs a script in the global scope

export default {
  async fetch() {
    Object.assign(globalThis, assertions, declarations, { AssertionError, OptionalFeatureUnsupportedError, format_value });
    surround(globalThis, about.address);
    return Response.json(await run(() => evaluate(source), about));
  },
};
