// Paths as Node.js takes them apart, for either kind of system (https://nodejs.org/api/path.html).

import { invalidType, requireString } from "pyworkerd:node_parts/errors";

const HERE = "/"; // what process.cwd() says

/** `split(path)`: its device (of Windows, else ""), whether it is absolute, and what follows.
 *  `isSeparator(character)`, and `same(part)`: what is equal for two parts that mean the same. */
export function pathModule({ sep, delimiter, split, isSeparator, same, namespaced }) {
  const hasDevices = isSeparator("\\");
  const separators = hasDevices ? /[\\/]+/ : /\/+/;

  function tidy(rest, mayLeadOut) {
    const parts = [];
    for (const part of rest.split(separators)) {
      if (part === "" || part === ".") continue;
      if (part !== "..") parts.push(part);
      else if (parts.length > 0 && parts.at(-1) !== "..") parts.pop();
      else if (mayLeadOut) parts.push("..");
    }
    return parts.join(sep);
  }

  function normalize(path) {
    requireString(path, "path");
    if (path === "") return ".";
    const { device, absolute, rest } = split(path);
    const tail = tidy(rest, !absolute) || (absolute ? "" : ".");
    const end = tail !== "" && isSeparator(path.at(-1)) && rest !== "" ? sep : "";
    return device + (absolute ? sep : "") + tail + end;
  }

  function resolve(...paths) {
    let device = "";
    let tail = "";
    let absolute = false;
    for (let i = paths.length - 1; i >= -1 && !(absolute && (device !== "" || !hasDevices)); i -= 1) {
      const path = i >= 0 ? paths[i] : HERE;
      requireString(path, `paths[${i}]`);
      if (path === "") continue;
      const found = split(path);
      if (found.device !== "" && device !== "" && same(found.device) !== same(device)) continue;
      device ||= found.device;
      if (absolute) continue; // all that is wanted is the device
      tail = `${found.rest}${sep}${tail}`;
      absolute = found.absolute;
    }
    return device + (absolute ? sep : "") + tidy(tail, !absolute) || ".";
  }

  function relative(from, to) {
    requireString(from, "from");
    requireString(to, "to");
    const start = split(resolve(from));
    const end = split(resolve(to));
    if (same(start.device) !== same(end.device)) return resolve(to);
    const before = start.rest.split(separators).filter(Boolean);
    const after = end.rest.split(separators).filter(Boolean);
    let common = 0;
    while (common < before.length && common < after.length && same(before[common]) === same(after[common])) common += 1;
    return [...before.slice(common).fill(".."), ...after.slice(common)].join(sep);
  }

  // Where the last part of what follows the root begins and ends, without separators after it.
  function lastPart(rest) {
    let end = rest.length;
    while (end > 0 && isSeparator(rest[end - 1])) end -= 1;
    let begin = end;
    while (begin > 0 && !isSeparator(rest[begin - 1])) begin -= 1;
    return { begin, end };
  }

  function folder(rest) {
    const { begin } = lastPart(rest);
    return rest.slice(0, Math.max(0, begin - 1));
  }

  const rootOf = ({ device, absolute }, path) => device + (absolute ? path[device.length] ?? "" : "");

  function dirname(path) {
    requireString(path, "path");
    const found = split(path);
    return rootOf(found, path) + folder(found.rest) || ".";
  }

  function basename(path, suffix = undefined) {
    requireString(path, "path");
    if (suffix !== undefined) requireString(suffix, "suffix");
    const { rest } = split(path);
    const { begin, end } = lastPart(rest);
    const name = rest.slice(begin, end);
    const isAll = suffix === name && suffix !== path;
    return suffix !== undefined && !isAll && name.endsWith(suffix) ? name.slice(0, name.length - suffix.length) : name;
  }

  function extname(path) {
    const name = basename(path);
    const dot = name.lastIndexOf(".");
    return dot <= 0 || name === ".." ? "" : name.slice(dot);
  }

  function parse(path) {
    const base = basename(path);
    const ext = extname(path);
    const found = split(path);
    const root = rootOf(found, path);
    const dir = root + folder(found.rest);
    return { root, dir, base, ext, name: ext === "" ? base : base.slice(0, -ext.length) };
  }

  function format(parts) {
    if (parts === null || typeof parts !== "object") throw invalidType("pathObject", "of type object", parts);
    const dir = parts.dir || parts.root;
    const ext = parts.ext ? `${parts.ext.startsWith(".") ? "" : "."}${parts.ext}` : "";
    const base = parts.base || `${parts.name || ""}${ext}`;
    if (!dir) return base;
    return dir === parts.root ? `${dir}${base}` : `${dir}${sep}${base}`;
  }

  function join(...paths) {
    paths.forEach((path) => requireString(path, "path"));
    const given = paths.filter((path) => path !== "");
    if (given.length === 0) return ".";
    // Two separators at the beginning name a device, but not where joining made them.
    if (hasDevices && !/^[\\/]{2}[^\\/]/.test(given[0])) return normalize(given.join(sep).replace(/^[\\/]{2,}/, sep));
    return normalize(given.join(sep));
  }

  function isAbsolute(path) {
    requireString(path, "path");
    return split(path).absolute;
  }

  return {
    sep, delimiter, normalize, join, resolve, relative, isAbsolute, dirname, basename, extname, parse, format,
    toNamespacedPath: (path) => (typeof path === "string" ? namespaced(path, resolve) : path),
  };
}

export const posix = pathModule({
  sep: "/",
  delimiter: ":",
  isSeparator: (character) => character === "/",
  same: (part) => part,
  namespaced: (path) => path,
  split: (path) => ({ device: "", absolute: path.startsWith("/"), rest: path.replace(/^\//, "") }),
});

const DRIVE = /^[A-Za-z]:/;
const SHARE = /^[\\/]{2}([^\\/]+)[\\/]+([^\\/]+)/;

export const win32 = pathModule({
  sep: "\\",
  delimiter: ";",
  isSeparator: (character) => character === "\\" || character === "/",
  same: (part) => part.toLowerCase(),
  namespaced(path, resolve) {
    const whole = resolve(path);
    if (/^[A-Za-z]:\\/.test(whole)) return `\\\\?\\${whole}`;
    return /^\\\\[^?.]/.test(whole) ? `\\\\?\\UNC\\${whole.slice(2)}` : path;
  },
  split(path) {
    const share = SHARE.exec(path);
    if (share !== null) {
      const rest = path.slice(share[0].length).replace(/^[\\/]/, "");
      return { device: `\\\\${share[1]}\\${share[2]}`, absolute: true, rest };
    }
    const device = DRIVE.exec(path)?.[0] ?? "";
    const rest = path.slice(device.length);
    return { device, absolute: /^[\\/]/.test(rest), rest: rest.replace(/^[\\/]/, "") };
  },
});

posix.posix = win32.posix = posix;
posix.win32 = win32.win32 = win32;
