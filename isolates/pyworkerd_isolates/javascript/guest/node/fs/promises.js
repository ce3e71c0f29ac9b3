// The module "node:fs/promises": a worker has no files.

import { NO_FILES, absentLater } from "pyworkerd:node_parts/absent";

const all = absentLater("fs/promises", NO_FILES, { constants: { F_OK: 0, R_OK: 4, W_OK: 2, X_OK: 1 } });

export const {
  access, appendFile, chmod, chown, constants, copyFile, cp, lchmod, lchown, link, lstat, lutimes, mkdir, mkdtemp,
  open, opendir, readFile, readdir, readlink, realpath, rename, rm, rmdir, stat, statfs, symlink, truncate, unlink,
  utimes, watch, writeFile,
} = all;
export default all;
