// The module "node:fs": a worker has no files.

import { NO_FILES, absent } from "pyworkerd:node_parts/absent";
import promises, { constants } from "pyworkerd:node/fs/promises";

const all = absent("fs", NO_FILES, {
  constants, promises, ...constants,
  existsSync: () => false,
  exists(path, callback) { queueMicrotask(() => callback(false)); },
});

export const {
  Dir, Dirent, F_OK, R_OK, ReadStream, Stats, W_OK, WriteStream, X_OK, access, accessSync, appendFile, appendFileSync,
  chmod, chmodSync, chown, chownSync, close, closeSync, constants, copyFile, copyFileSync, cp, cpSync,
  createReadStream, createWriteStream, exists, existsSync, fchmod, fchmodSync, fchown, fchownSync, fdatasync,
  fdatasyncSync, fstat, fstatSync, fsync, fsyncSync, ftruncate, ftruncateSync, futimes, futimesSync, lchmod, lchown,
  lchownSync, link, linkSync, lstat, lstatSync, lutimes, lutimesSync, mkdir, mkdirSync, mkdtemp, mkdtempSync, open,
  openAsBlob, openSync, opendir, opendirSync, promises, read, readFile, readFileSync, readSync, readdir, readdirSync,
  readlink, readlinkSync, readv, readvSync, realpath, realpathSync, rename, renameSync, rm, rmSync, rmdir, rmdirSync,
  stat, statSync, statfs, statfsSync, symlink, symlinkSync, truncate, truncateSync, unlink, unlinkSync, unwatchFile,
  utimes, utimesSync, watch, watchFile, write, writeFile, writeFileSync, writeSync, writev, writevSync,
} = all;
export default all;
