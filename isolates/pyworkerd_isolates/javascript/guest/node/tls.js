// The module "node:tls": there are no connections but those of `fetch`.

import { absent } from "pyworkerd:node_parts/absent";

const INSTEAD = "workers have no connections of their own. Send requests with fetch(), or use a binding";
const all = absent("tls", INSTEAD, { DEFAULT_CIPHERS: "", rootCertificates: [], getCiphers: () => [] });

export const {
  DEFAULT_CIPHERS, SecureContext, Server, TLSSocket, checkServerIdentity, connect, createSecureContext, createServer,
  getCiphers, rootCertificates,
} = all;
export default all;
