// The module "node:path/win32".

import { win32 } from "pyworkerd:node_parts/path";

export { posix, win32 } from "pyworkerd:node_parts/path";
export const {
  sep, delimiter, normalize, join, resolve, relative, isAbsolute, dirname, basename, extname, parse, format,
  toNamespacedPath,
} = win32;
export default win32;
