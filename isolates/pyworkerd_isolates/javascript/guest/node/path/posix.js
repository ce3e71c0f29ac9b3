// The module "node:path/posix".

import { posix } from "pyworkerd:node_parts/path";

export { posix, win32 } from "pyworkerd:node_parts/path";
export const {
  sep, delimiter, normalize, join, resolve, relative, isAbsolute, dirname, basename, extname, parse, format,
  toNamespacedPath,
} = posix;
export default posix;
