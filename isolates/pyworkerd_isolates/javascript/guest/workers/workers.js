// The module "cloudflare:workers".

import { env } from "pyworkerd:system/environment";
import { needed } from "pyworkerd:system/loop";
import { reportUnheard } from "pyworkerd:system/logs";

export { DurableObject, RpcTarget, WorkerEntrypoint } from "pyworkerd:workers/entrypoint";
export { RpcStub } from "pyworkerd:workers/stubs";
export { env };

// `ctx.waitUntil` of the invocation that runs.
export function waitUntil(promise) {
  const invocation = needed();
  invocation.waitUntil(promise, (error) => reportUnheard(invocation, "a waitUntil() task failed", error));
}
