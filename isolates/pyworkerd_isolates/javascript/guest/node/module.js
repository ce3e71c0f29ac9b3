// The module "node:module": `require` for ES modules.

import { invalidValue, missing } from "pyworkerd:node_parts/errors";
import { ofNode } from "pyworkerd:system/host";
import { requireAt } from "pyworkerd:system/modules";

const PATH = "must be a file URL object, file URL string, or absolute path string";

/** A `require` that finds what the module with this path, or file URL, would find. */
export function createRequire(path) {
  let text = path instanceof URL ? path.href : path;
  if (typeof text !== "string") throw invalidValue("filename", path, PATH);
  if (text.startsWith("file:")) text = decodeURIComponent(new URL(text).pathname);
  else if (!text.startsWith("/")) throw invalidValue("filename", path, PATH);
  return requireAt(text.slice(1));
}

export const builtinModules = ofNode();

export function isBuiltin(name) {
  return builtinModules.includes(`${name}`.replace(/^node:/, ""));
}

export const register = () => { throw missing("module.register"); };
export const findPackageJSON = () => { throw missing("module.findPackageJSON"); };

export default { builtinModules, createRequire, findPackageJSON, isBuiltin, register };
