// The module "node:https": requests are sent by `fetch`, and come to a handler.

import { absent } from "pyworkerd:node_parts/absent";
import { Agent, globalAgent } from "pyworkerd:node_parts/http_names";

const INSTEAD = "workers send requests with fetch(), and answer them with a fetch handler";
const all = absent("https", INSTEAD, { Agent, globalAgent });

export const {
  Agent, Server, createServer, get, globalAgent, request,
} = all;
export default all;
