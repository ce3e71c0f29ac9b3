// The module "node:dns": names are looked up by the host.

import { absent } from "pyworkerd:node_parts/absent";
import promises from "pyworkerd:node/dns/promises";

const INSTEAD = "workers look up no names. Ask a resolver that answers over HTTPS, with fetch()";
const all = absent("dns", INSTEAD, { promises });

export const {
  Resolver, getDefaultResultOrder, getServers, lookup, lookupService, promises, resolve, resolve4, resolve6,
  resolveAny, resolveCaa, resolveCname, resolveMx, resolveNaptr, resolveNs, resolvePtr, resolveSoa, resolveSrv,
  resolveTxt, reverse, setDefaultResultOrder, setServers,
} = all;
export default all;
