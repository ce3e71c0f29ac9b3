// The module "node:dns/promises": names are looked up by the host.

import { absentLater } from "pyworkerd:node_parts/absent";

const INSTEAD = "workers look up no names. Ask a resolver that answers over HTTPS, with fetch()";
const all = absentLater("dns/promises", INSTEAD);

export const {
  Resolver, getDefaultResultOrder, getServers, lookup, lookupService, resolve, resolve4, resolve6, resolveAny,
  resolveCaa, resolveCname, resolveMx, resolveNaptr, resolveNs, resolvePtr, resolveSoa, resolveSrv, resolveTxt,
  reverse, setDefaultResultOrder, setServers,
} = all;
export default all;
