// The module "node:child_process": there are no processes.

import { absent } from "pyworkerd:node_parts/absent";

const INSTEAD = "a worker starts no processes. Call another worker by a service binding";
const all = absent("child_process", INSTEAD);

export const {
  ChildProcess, exec, execFile, execFileSync, execSync, fork, spawn, spawnSync,
} = all;
export default all;
