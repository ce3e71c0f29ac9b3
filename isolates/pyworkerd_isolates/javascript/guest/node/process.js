// The module "node:process", and the global: as much of it as programs ask for to find out where they run.

import EventEmitter from "pyworkerd:node/events";
import { coded, invalidType, missing, requireFunction } from "pyworkerd:node_parts/errors";
import { onBindings } from "pyworkerd:system/environment";
import { now } from "pyworkerd:system";

const NODE = "22.14.0"; // the version whose interfaces these modules have

export const env = {};
// Bindings that are texts, as soon as there are any: at the top level of a worker it is empty.
onBindings((bindings) => {
  for (const [name, value] of Object.entries(bindings)) if (typeof value === "string") env[name] ??= value;
});

export const argv = ["workerd"];
export const argv0 = "workerd";
export const execArgv = [];
export const execPath = "";
export const title = "workerd";
export const pid = 1;
export const ppid = 0;
export const arch = "wasm32";
export const platform = "linux";
export const version = `v${NODE}`;
export const versions = Object.freeze({ node: NODE });
export const release = Object.freeze({ name: "node" });
export const config = Object.freeze({});
export const features = Object.freeze({});
export const exitCode = undefined;

export function cwd() {
  return "/";
}

export function chdir() {
  throw missing("process.chdir");
}

function ending(call) {
  return coded(Error, "ERR_WORKER_UNSUPPORTED_OPERATION", `process.${call}: a worker cannot end its process`);
}

export const exit = (code = 0) => { throw ending(`exit(${code})`); };
export const abort = () => { throw ending("abort()"); };
export const kill = () => { throw ending("kill()"); };

export function nextTick(callback, ...values) {
  requireFunction(callback, "callback");
  queueMicrotask(values.length === 0 ? callback : () => callback(...values));
}

export function hrtime(previous = undefined) {
  const milliseconds = now();
  let seconds = Math.floor(milliseconds / 1000);
  let nanoseconds = Math.round((milliseconds % 1000) * 1e6);
  if (previous !== undefined) {
    if (!Array.isArray(previous)) throw invalidType("time", "an instance of Array", previous);
    seconds -= previous[0];
    nanoseconds -= previous[1];
    if (nanoseconds < 0) [seconds, nanoseconds] = [seconds - 1, nanoseconds + 1e9];
  }
  return [seconds, nanoseconds];
}
hrtime.bigint = () => BigInt(Math.round(now() * 1e6));

export function emitWarning(warning, type = "Warning") {
  const name = typeof type === "string" ? type : type?.type ?? "Warning";
  console.warn(warning instanceof Error ? `${warning.name}: ${warning.message}` : `${name}: ${warning}`);
}

export function memoryUsage() {
  throw missing("process.memoryUsage");
}

export function uptime() {
  throw missing("process.uptime");
}

export const umask = () => 0o022;
export const getuid = () => 0;
export const getgid = () => 0;
export const getegid = getgid;
export const geteuid = getuid;

// What is written goes to the log, a line an entry.
const writer = (level) => ({
  isTTY: false,
  fd: level === "log" ? 1 : 2,
  write(text) {
    console[level](String(text).replace(/\n$/, ""));
    return true;
  },
});
export const stdout = writer("log");
export const stderr = writer("error");

const process = Object.assign(new EventEmitter(), {
  env, argv, argv0, execArgv, execPath, title, pid, ppid, arch, platform, version, versions, release, config, features,
  exitCode, cwd, chdir, exit, abort, kill, nextTick, uptime, hrtime, emitWarning, memoryUsage, umask, getuid, getgid,
  getegid, geteuid, stdout, stderr,
});
Object.defineProperty(process, Symbol.toStringTag, { value: "process", configurable: true });

export const on = process.on.bind(process);
export const once = process.once.bind(process);
export const off = process.off.bind(process);
export const emit = process.emit.bind(process);
export default process;
