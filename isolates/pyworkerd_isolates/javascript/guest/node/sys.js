// The module "node:sys": the name that "node:util" had.

export * from "pyworkerd:node/util";
export { default } from "pyworkerd:node/util";
