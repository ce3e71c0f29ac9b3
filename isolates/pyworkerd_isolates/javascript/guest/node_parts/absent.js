// What Node.js has for programs with a machine of their own. Packages import it for a part that a worker never runs:
// so it can be imported, and says what to use instead when it is called.

import { coded } from "pyworkerd:node_parts/errors";

export const NO_FILES =
  "a worker has no files. Import what belongs to the program, and keep what it writes in a binding (R2, KV, D1)";

const HIDDEN = new Set(["then", "default", "__esModule"]); // by which a module is told from something else

/** An object that has a function of every name, each of which throws; `instead` is what the error says to use. */
export function absent(module, instead, own = {}) {
  return made(module, instead, own, (error) => { throw error; });
}

/** The same for functions that answer with promises. */
export function absentLater(module, instead, own = {}) {
  return made(module, instead, own, (error) => Promise.reject(error));
}

function made(module, instead, own, fail) {
  return new Proxy(own, {
    get(target, name) {
      if (Object.hasOwn(target, name) || typeof name === "symbol" || HIDDEN.has(name)) return target[name];
      // A function that a class can extend: nothing is thrown before somebody makes one.
      const missing = function () {
        return fail(coded(Error, "ERR_METHOD_NOT_IMPLEMENTED", `${module}.${name}: ${instead}`));
      };
      target[name] = Object.defineProperty(missing, "name", { value: name });
      return missing;
    },
  });
}
