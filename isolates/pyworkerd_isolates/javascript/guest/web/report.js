// Errors that nobody can catch: they go to the worker's log.

import { inspect } from "pyworkerd:web/inspect";
import { log } from "pyworkerd:system";

/** Logs an error that escaped from a listener, a timer or a task, as workerd does. */
export function reportError(error) {
  log("error", `Uncaught ${inspect(error)}`);
}
