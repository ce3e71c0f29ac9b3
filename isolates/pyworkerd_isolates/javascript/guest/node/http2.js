// The module "node:http2": requests are sent by `fetch`, and come to a handler.

import { absent } from "pyworkerd:node_parts/absent";

const INSTEAD = "workers send requests with fetch(), and answer them with a fetch handler";
const all = absent("http2", INSTEAD, { constants: {} });

export const {
  Http2ServerRequest, Http2ServerResponse, connect, constants, createSecureServer, createServer, getDefaultSettings,
  getPackedSettings, getUnpackedSettings, sensitiveHeaders,
} = all;
export default all;
