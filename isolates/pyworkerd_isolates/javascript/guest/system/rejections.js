// Promises that are rejected, and nobody hears of it: their reasons go to the log of the invocation that they are of.

import { guest } from "pyworkerd:system/host";
import { describe, log } from "pyworkerd:system/logs";
import { current, setUnheard, tellBy } from "pyworkerd:system/loop";

const unheard = new Map();
const MOST = 100;
// Told of at once.

// The engine says when a promise is rejected that nobody waits for, and when somebody waits for it later.
guest.rejected = (promise, ...reason) => {
  if (reason.length === 0) unheard.delete(promise);
  else if (unheard.size < MOST) unheard.set(promise, { reason: reason[0], invocation: current });
  setUnheard(unheard.size > 0);
};

// All that was ready has run, or the invocation ends: who has not heard of it by now, does not hear of it in time.
tellBy((only = null) => {
  for (const [promise, { reason, invocation }] of [...unheard]) {
    if (only !== null && invocation !== only) continue;
    unheard.delete(promise);
    log("error", `Uncaught (in promise) ${describe(reason)}`, "workers", invocation?.over ? null : invocation);
  }
  setUnheard(unheard.size > 0);
});
