// Bindings that are a call or two.

import { needed } from "pyworkerd:system/loop";
import { reportUnheard } from "pyworkerd:system/logs";
import { Capability, grantable } from "pyworkerd:workers/capability";

export class RateLimit extends Capability {
  // Count one use of `key`, and say whether it is still within the limit.
  async limit(options) {
    if (typeof options?.key !== "string") throw new TypeError("limit() takes { key: string }");
    return Capability.call(this, "limit", options.key);
  }
}

export class Hello extends Capability {
  async greet(name) {
    return Capability.call(this, "greet", name);
  }
}

export class AnalyticsEngineDataset extends Capability {
  // At most one index, 20 blobs (texts) and 20 doubles. Returns at once; what is wrong with a point is told in the log.
  writeDataPoint(event = {}) {
    const invocation = needed();
    const lists = ["indexes", "blobs", "doubles"].map((name) => event?.[name] ?? null);
    invocation.waitUntil(Capability.call(this, "writeDataPoint", ...lists), (error) =>
      reportUnheard(invocation, "a data point was not written", error),
    );
  }
}

// A function of the program that embeds the runtime.
export function callable(index) {
  const capability = new Capability(index);
  return grantable(async (...positional) => Capability.call(capability, "call", ...positional), index);
}
