// The module "node:module": `require` for ES modules.

import { invalidValue, missing } from "pyworkerd:node_parts/errors";
import { ofNode } from "pyworkerd:system/host";
import { pathOf, requireAt } from "pyworkerd:system/modules";

const PATH = "must be a file URL object, file URL string, or absolute path string";

/** A `require` that finds what the module with this path, or file URL, would find. */
export function createRequire(path) {
  const text = path instanceof URL ? path.href : path;
  if (typeof text !== "string") throw invalidValue("filename", path, PATH);
  if (!text.startsWith("file:") && !text.startsWith("/")) throw invalidValue("filename", path, PATH);
  const found = pathOf(text);
  if (found === undefined) throw invalidValue("filename", path, PATH);
  return requireAt(found);
}

export const builtinModules = ofNode();

export function isBuiltin(name) {
  return builtinModules.includes(`${name}`.replace(/^node:/, ""));
}

export const register = () => { throw missing("module.register"); };
export const findPackageJSON = () => { throw missing("module.findPackageJSON"); };

export default { builtinModules, createRequire, findPackageJSON, isBuiltin, register };
