// The module "node:http": requests are sent by `fetch`, and come to a handler.

import { absent } from "pyworkerd:node_parts/absent";
import { Agent, METHODS, STATUS_CODES, globalAgent } from "pyworkerd:node_parts/http_names";

const INSTEAD = "workers send requests with fetch(), and answer them with a fetch handler";
const all = absent("http", INSTEAD, { Agent, METHODS, STATUS_CODES, globalAgent, maxHeaderSize: 16_384 });

export const {
  Agent, ClientRequest, IncomingMessage, METHODS, OutgoingMessage, STATUS_CODES, Server, ServerResponse, createServer,
  get, globalAgent, maxHeaderSize, request, setMaxIdleHTTPParsers, validateHeaderName, validateHeaderValue,
} = all;
export default all;
