// The module "node:dgram": there are no connections but those of `fetch`.

import { absent } from "pyworkerd:node_parts/absent";

const INSTEAD = "workers have no connections of their own. Send requests with fetch(), or use a binding";
const all = absent("dgram", INSTEAD);

export const {
  Socket, createSocket,
} = all;
export default all;
