// The module "node:net": there are no connections but those of `fetch`; what an address is can be asked.

import { absent } from "pyworkerd:node_parts/absent";
import { isIP, isIPv4, isIPv6 } from "pyworkerd:node_parts/addresses";

const INSTEAD = "workers have no connections of their own. Send requests with fetch(), or use a binding";
const all = absent("net", INSTEAD, { isIP, isIPv4, isIPv6 });

export const {
  BlockList, Server, Socket, SocketAddress, Stream, connect, createConnection, createServer,
  getDefaultAutoSelectFamily, isIP, isIPv4, isIPv6, setDefaultAutoSelectFamily,
} = all;
export default all;
