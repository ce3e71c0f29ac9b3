// The module "node:readline": there is nobody who types.

import { absent } from "pyworkerd:node_parts/absent";

const INSTEAD = "a worker has no terminal";
const all = absent("readline", INSTEAD);

export const {
  Interface, clearLine, clearScreenDown, createInterface, cursorTo, emitKeypressEvents, moveCursor, promises,
} = all;
export default all;
