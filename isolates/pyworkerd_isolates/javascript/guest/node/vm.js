// The module "node:vm": code comes with the worker.

import { absent } from "pyworkerd:node_parts/absent";

const INSTEAD = "a worker runs what it was deployed with. A worker loader binding runs code that comes later";
const all = absent("vm", INSTEAD, { isContext: () => false });

export const {
  Script, compileFunction, createContext, isContext, runInContext, runInNewContext, runInThisContext,
} = all;
export default all;
