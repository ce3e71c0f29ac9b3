// The module "node:tty": nothing is a terminal.

import { missing } from "pyworkerd:node_parts/errors";

export const isatty = () => false;
export const ReadStream = function () { throw missing("tty.ReadStream"); };
export const WriteStream = function () { throw missing("tty.WriteStream"); };

export default { ReadStream, WriteStream, isatty };
