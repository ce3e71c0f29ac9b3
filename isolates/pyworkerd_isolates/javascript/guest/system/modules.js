// Where a program's modules come from: its own files, and nothing else. ES modules by relative name, packages below
// node_modules by their `exports`, JSON, text and bytes as default exports, CommonJS wrapped.
// Sources: HTML (module specifiers), Node.js "Modules: Packages" (exports, imports, conditions, main).

import { mayBeGlobal } from "pyworkerd:system/environment";
import { decode, guest, ofNode, ownName, required } from "pyworkerd:system/host";
import { keepMappings, noteShift } from "pyworkerd:system/positions";

const files = new Map();
// Bytes by path below the root; null for what has become a module.
const failures = new Map();
// Why names led to no module, by what QuickJS says of each: that they did not.
const MOST_FAILURES = 64;
const CUT = 200;
// Characters beyond which QuickJS may have cut its text.

function noteFailure(text, error) {
  if (failures.size < MOST_FAILURES || failures.has(text)) failures.set(text, error);
}

// What an import failed with, for the error that QuickJS makes of it; any other error as it is.
export function explained(error) {
  try {
    if (!(error instanceof ReferenceError)) return error;
    const { message } = error;
    for (const [text, cause] of failures) {
      if (text === message || (message.length >= CUT && text.startsWith(message))) return cause;
    }
  } catch {
    // It is no error of QuickJS that does not let itself be looked at.
  }
  return error;
}

const CONDITIONS = new Set(["workerd", "worker", "browser", "import", "module", "default"]);
const REQUIRED = new Set(["workerd", "worker", "browser", "require", "default"]);
const SCRIPTS = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx"];
const INDEXES = SCRIPTS.map((suffix) => `/index${suffix}`);
const RESERVED = new Set(
  `arguments await break case catch class const continue debugger default delete do else enum eval export extends false
   finally for function if implements import in instanceof interface let new null package private protected public
   return static super switch this throw true try typeof value values var void while with yield`.split(/\s+/),
);
const FORMS = {
  __proto__: null,
  ".json": "json",
  ".txt": "text",
  ".html": "text",
  ".sql": "text",
  ".md": "text",
  ".bin": "data",
  ".wasm": "data",
};

const kinds = new Map();
// What files are, by path, where that is listed: "code", "common", "text", "data", "json", "extension", "internal".
const NOTHING = "node_modules/.nothing.json";
// A module without anything, in place of one that a package does without.
const VALUES = new Set(["text", "data", "json"]);

export function addFile(path, bytes, kind = undefined) {
  files.set(path, bytes);
  if (kind !== undefined) kinds.set(path, kind);
}

// What is made of a file that is no code; undefined of code.
function formOf(path) {
  const kind = kinds.get(path);
  if (kind === undefined) return FORMS[suffixOf(path)];
  return VALUES.has(kind) ? kind : undefined;
}

function isExtension(path) {
  const kind = kinds.get(path);
  return kind === "extension" || kind === "internal";
}

export function text(path) {
  const bytes = files.get(path) ?? null;
  if (bytes === null) return undefined;
  let found;
  try {
    found = decode(bytes);
  } catch {
    throw Object.assign(new SyntaxError(`${path} is not UTF-8`), { file: path });
  }
  return found.startsWith("\ufeff") ? found.slice(1) : found;
}

function suffixOf(path) {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dot = name.lastIndexOf(".");
  return dot < 0 ? "" : name.slice(dot);
}

// The path that a relative one leads to; undefined if it leads out.
function join(folder, relative) {
  const parts = folder === "" ? [] : folder.split("/");
  for (const part of relative.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join("/");
}

function folderOf(path) {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
}

// A file, or one whose suffix was left out, or the TypeScript that a ".js" stands for, or a folder's index.
function findFile(path) {
  if (files.has(path)) return path;
  const suffix = suffixOf(path);
  if (suffix === ".js" || suffix === ".mjs" || suffix === ".cjs") {
    const typed = path.slice(0, -suffix.length) + suffix.replace("js", "ts");
    if (files.has(typed)) return typed;
    if (suffix === ".js" && files.has(`${typed}x`)) return `${typed}x`;
  }
  for (const end of [...SCRIPTS, ".json", ...INDEXES]) if (files.has(path + end)) return path + end;
  return undefined;
}

function jsonOf(path) {
  const found = text(path);
  try {
    return found === undefined ? undefined : JSON.parse(found);
  } catch (error) {
    throw new SyntaxError(`${path} is not JSON: ${error.message}`);
  }
}

const packages = new Map();
// What package.json of a folder says, or undefined, by folder, until a program has been deployed: that of a package of
// hundreds of modules is asked for with each of them.

function packageAt(folder) {
  if (!packages.has(folder)) packages.set(folder, jsonOf(`${folder === "" ? "" : `${folder}/`}package.json`));
  return packages.get(folder);
}

// The folder of the package that a module belongs to, and what it says; undefined outside of packages.
function packageOf(path) {
  if (!path.includes("node_modules/")) return undefined;
  for (let folder = folderOf(path); folder !== "" && !folder.endsWith("node_modules"); folder = folderOf(folder)) {
    const about = packageAt(folder);
    if (about !== undefined) return [folder, about];
  }
  return undefined;
}

// What `exports` or `imports` say: a path, null if it is forbidden, undefined if they say nothing.
function choose(target, conditions, star) {
  if (typeof target === "string") return star === undefined ? target : target.replaceAll("*", star);
  if (target === null) return null;
  if (Array.isArray(target)) {
    for (const each of target) {
      const found = choose(each, conditions, star);
      if (found) return found;
    }
    return undefined;
  }
  for (const [condition, value] of Object.entries(target)) {
    if (!conditions.has(condition)) continue;
    const found = choose(value, conditions, star);
    if (found !== undefined) return found;
  }
  return undefined;
}

function match(table, name, conditions) {
  if (Object.hasOwn(table, name)) return choose(table[name], conditions);
  let best = null;
  for (const key of Object.keys(table)) {
    const at = key.indexOf("*");
    if (at < 0 || !name.startsWith(key.slice(0, at)) || !name.endsWith(key.slice(at + 1))) continue;
    if (name.length >= key.length && (best === null || at > best.indexOf("*"))) best = key;
  }
  if (best === null) return undefined;
  const at = best.indexOf("*");
  return choose(table[best], conditions, name.slice(at, name.length - (best.length - at - 1)));
}

function inPackage(root, inside, conditions) {
  const about = packageAt(root) ?? {};
  if (about.exports !== undefined && about.exports !== null) {
    const { exports } = about;
    const table =
      typeof exports === "object" && !Array.isArray(exports) && Object.keys(exports).some((key) => key.startsWith("."))
        ? exports
        : { ".": exports };
    const target = match(table, inside === "" ? "." : `./${inside}`, conditions);
    if (!target) throw new TypeError(`the package ${root} does not export ${inside === "" ? "anything" : inside}`);
    const path = join(root, target);
    return path !== undefined && path.startsWith(`${root}/`) ? findFile(path) : undefined;
  }
  if (inside !== "") return findFile(join(root, inside) ?? "");
  const { browser, main } = about;
  const module = conditions === REQUIRED ? undefined : about.module;
  for (const each of [browser, module, main]) {
    const found = typeof each === "string" ? findFile(join(root, each) ?? "") : undefined;
    if (found !== undefined) return found;
  }
  return findFile(`${root}/index`);
}

// Whether a package of this name has files, without looking at each of them for every name.
let folders = null;
function isFolder(path) {
  if (folders === null) {
    folders = new Set();
    for (const name of files.keys()) {
      for (let folder = folderOf(name); folder !== "" && !folders.has(folder); folder = folderOf(folder)) {
        folders.add(folder);
      }
    }
  }
  return folders.has(path);
}

function findPackage(base, name, conditions) {
  const parts = name.split("/");
  const length = name.startsWith("@") ? 2 : 1;
  const wanted = parts.slice(0, length).join("/");
  const inside = parts.slice(length).join("/");
  for (let folder = folderOf(base); ; folder = folderOf(folder)) {
    const root = `${folder === "" ? "" : `${folder}/`}node_modules/${wanted}`;
    if (isFolder(root)) return inPackage(root, inside, conditions);
    if (folder === "") return undefined;
  }
}

function findOwn(base, name, conditions) {
  for (let folder = folderOf(base); ; folder = folderOf(folder)) {
    const about = packageAt(folder);
    if (about !== undefined) {
      const target = match(about?.imports ?? {}, name, conditions);
      if (!target) return undefined;
      return target.startsWith(".") ? findFile(join(folder, target) ?? "") : findPackage(base, target, conditions);
    }
    if (folder === "") return undefined;
  }
}

const FOLDER = "/bundle/";
// Where a program finds its own files, as in Workers.
const ROOT = `file://${FOLDER}`;

function urlOf(path) {
  return ROOT + path.split("/").map(encodeURIComponent).join("/");
}

// The path below the root that a file URL or an absolute path means; undefined if it leads out.
export function pathOf(text) {
  const path = text.startsWith("file:") ? decodeURIComponent(new URL(text).pathname) : text;
  return join("", path.startsWith(FOLDER) ? path.slice(FOLDER.length) : path);
}

// What a package says in `browser` of its own modules, and of what they import: in place of this comes another one, or
// nothing (https://github.com/defunctzombie/package-browser-field-spec). Wrangler's bundler reads it as well.
function replaced(base, name, conditions) {
  const [root, about] = packageOf(base) ?? [];
  const table = about?.browser;
  if (table === null || typeof table !== "object" || !Object.hasOwn(table, name)) return undefined;
  const target = table[name];
  if (target === false) {
    files.set(NOTHING, new Uint8Array([123, 125]));
    return NOTHING;
  }
  if (typeof target !== "string") return undefined;
  return target.startsWith(".") ? findFile(join(root, target) ?? "") : findPackage(base, target, conditions);
}

function replacedFile(path, conditions) {
  const root = packageOf(path)?.[0];
  if (root === undefined) return path;
  const inside = `.${path.slice(root.length)}`;
  return replaced(path, inside, conditions) ?? replaced(path, inside.replace(/\.js$/, ""), conditions) ?? path;
}

function noModule(message, base) {
  return Object.assign(new TypeError(message), { file: base });
}

// The path of the file that `name` means in the module `base`. Throws where there is none.
export function locate(base, name, conditions = CONDITIONS) {
  if (kinds.get(name) === "extension" || (isExtension(name) && isExtension(base))) return name;
  let found;
  if (name.startsWith("./") || name.startsWith("../") || name === "." || name === "..") {
    const path = join(folderOf(base), name);
    found = path === undefined ? undefined : findFile(path);
  } else if (name.startsWith("/")) {
    found = findFile(join("", name) ?? "");
  } else if (name.startsWith("#")) {
    found = findOwn(base, name, conditions);
  } else if (name.startsWith("node:")) {
    throw noModule(`No such module "${name}". Of Node.js, workers have ${ofNode().join(", ")}.`, base);
  } else if (name.startsWith(ROOT)) {
    found = findFile(pathOf(name) ?? "");
  } else if (/^[a-z][a-z0-9+.-]*:/i.test(name)) {
    throw noModule(`No such module "${name}".`, base);
  } else {
    found = replaced(base, name, conditions) ?? findPackage(base, name, conditions) ?? findFile(name);
  }
  if (found !== undefined && found.includes("node_modules/")) found = replacedFile(found, conditions);
  // Extensions have names, and lie in no folder of the program.
  if (isExtension(found) && !isExtension(base)) found = undefined;
  if (found === undefined) throw noModule(`No such module "${name}", imported from "${base}".`, base);
  return found;
}

function isCommon(path, source) {
  if (kinds.has(path)) return kinds.get(path) === "common";
  if (path.endsWith(".cjs") || path.endsWith(".cts")) return true;
  if (path.endsWith(".mjs") || path.endsWith(".mts") || !path.includes("node_modules/")) return false;
  if (packageOf(path)?.[1]?.type === "module") return false;
  return !/^\s*(?:import\b(?!\s*\()|export\b)/m.test(source);
}

const common = new Map();
// CommonJS modules that have begun to run, by path.

function requireFrom(base) {
  return function require(name) {
    const own = ownName(String(name));
    if (own === undefined) return load(locate(base, String(name), REQUIRED));
    const module = required(own);
    return module.default ?? module;
  };
}

// For a program that names its base itself: it must not say that it is an extension, which may import others.
export function requireAt(base) {
  return requireFrom(isExtension(base) ? "" : base);
}

function load(path) {
  const known = common.get(path);
  if (known !== undefined) return known.exports;
  const module = { exports: {}, id: path, loaded: false };
  common.set(path, module);
  const form = formOf(path);
  if (form !== undefined) {
    module.exports = valueOf(path, form);
  } else {
    taken.add(path);
    try {
      const source = program(path).replace(/^#!.*/, "");
      const run = new Function("exports", "require", "module", "__filename", "__dirname", source);
      run.call(module.exports, module.exports, requireFrom(path), module, path, folderOf(path));
    } catch (error) {
      common.delete(path); // as in Node.js: asked for again, it is run again, and not half of it found
      taken.delete(path);
      throw error;
    }
  }
  module.loaded = true;
  return module.exports;
}

function valueOf(path, form) {
  if (form === "json") return jsonOf(path);
  return form === "text" ? text(path) : files.get(path).slice().buffer;
}

export const WRAPPER = "pyworkerd:wrapper/";
// What the name of a module begins with by which this machinery means an extension, internal or not.
const GIVEN = "pyworkerd:given/";
// What the name of a module begins with that stands for a value; the name of any other begins with "/".
export const values = new Map();
const named = new Map();
// Names by path, of what was asked for before.

guest.resolve = (base, name) => {
  try {
    const isWrapper = base === "pyworkerd:system/worker" && name.startsWith(WRAPPER);
    const path = isWrapper ? name.slice(WRAPPER.length) : locate(base.startsWith("/") ? base.slice(1) : "", name);
    if (base === "pyworkerd:system/worker" && !isWrapper) main = path;
    const known = named.get(path);
    if (known !== undefined) return known;
    const isValue = formOf(path) !== undefined || isCommon(path, text(path));
    const found = isValue ? GIVEN + path : `/${path}`;
    named.set(path, found);
    return found;
  } catch (error) {
    noteFailure(`Error resolving module '${name}' from '${base}'`, error);
    throw error;
  }
};

// What is made for a program that has this name in it: then it is made at deploy, and in no isolate.
const NAMED = {
  HTMLRewriter: "pyworkerd:web/html/rewriter",
  Buffer: "pyworkerd:node/buffer",
  "D1Database.": "pyworkerd:workers/by_name",
  ServiceBinding: "pyworkerd:workers/by_name",
  "process.": "pyworkerd:node/process",
};
const wanted = new Set();
const CAPITALS = /(?<![\w$.])[A-Z][A-Z0-9_]+(?![\w$])/g;
// As bindings are called. A program that has such a name in it may mean the binding, as a global.
let toLookAt = 1 << 17;
// Characters of its own files, in the order in which they are loaded: it takes some 50 ns for each.

function program(path) {
  const found = text(path);
  if (found === undefined) return undefined;
  for (const name in NAMED) if (found.includes(name)) wanted.add(NAMED[name]);
  if (found.includes("prepareStackTrace")) required("pyworkerd:node_parts/call_sites"); // before it runs
  if (found.length <= toLookAt && !path.includes("node_modules/")) {
    toLookAt -= found.length;
    mayBeGlobal(found.match(CAPITALS) ?? []);
  }
  return keepMappings(path, found);
}

export function makeWhatIsNamed() {
  wanted.forEach(required);
}

const taken = new Set();
// Files that are modules now: the engine does not ask for their source again.

// What need not be part of an image.
export function forgetTaken() {
  for (const path of taken) files.set(path, null);
  taken.clear();
  packages.clear();
}

guest.source = (name) => {
  try {
    if (name.startsWith(GIVEN)) return moduleOf(name.slice(GIVEN.length));
    const path = name.slice(1);
    taken.add(path);
    return withMeta(path, program(path)) || "\n"; // one of no length is one that could not be loaded, for the engine
  } catch (error) {
    noteFailure(`Error loading module '${name}'`, error);
    throw error;
  }
};

let main;
// The path of the program's main module.

// The engine leaves `import.meta` empty: a module that uses it fills its own, before all else that it does.
function withMeta(path, source) {
  if (source === undefined || isExtension(path) || !source.includes("import.meta")) return source;
  const at = /^#!.*(?:\r\n|[^])?/.exec(source)?.[0].length ?? 0; // a dot stands for all that ends no line
  const filled =
    `import.meta.url=${JSON.stringify(urlOf(path))};import.meta.main=${path === main};` +
    "import.meta.resolve=((base,name)=>new URL(name,base).href).bind(null,import.meta.url);";
  noteShift(path, at === 0 ? 1 : 2, filled.length);
  return source.slice(0, at) + filled + source.slice(at);
}

// A module whose default export is a value that is there already, and whose other exports are the value's properties.
function moduleOf(path) {
  const form = formOf(path);
  const value = form === undefined ? load(path) : valueOf(path, form);
  values.set(path, value);
  const lines = [
    'import { values } from "pyworkerd:system/modules";',
    `const value = values.get(${JSON.stringify(path)});`,
    "export default value?.__esModule && value.default !== undefined ? value.default : value;",
  ];
  if ((form === undefined || form === "json") && value !== null && /object|function/.test(typeof value)) {
    for (const name of Object.keys(value)) {
      if (name !== "default" && /^[A-Za-z_$][\w$]*$/.test(name) && !RESERVED.has(name)) {
        lines.push(`export const ${name} = value.${name};`);
      }
    }
  }
  return lines.join("\n");
}
