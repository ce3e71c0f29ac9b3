// The module "node:constants": numbers of systems, of which a worker has those of "node:crypto" and of files.

import { constants as ofCrypto } from "pyworkerd:node/crypto";

export const F_OK = 0;
export const R_OK = 4;
export const W_OK = 2;
export const X_OK = 1;
export default { ...ofCrypto, F_OK, R_OK, W_OK, X_OK };
