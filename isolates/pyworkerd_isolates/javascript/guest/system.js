// What the web platform's modules need of the host.

import { log as write } from "pyworkerd:system/logs";

export { chain, decode, encode, fill, hash, now, table } from "pyworkerd:system/host";
export { clearTimer, setTimer } from "pyworkerd:system/loop";

const LEVELS = { debug: "debug", log: "info", info: "info", warn: "warning", error: "error", trace: "debug" };

export function log(level, text) {
  write(LEVELS[level] ?? "info", text);
}
