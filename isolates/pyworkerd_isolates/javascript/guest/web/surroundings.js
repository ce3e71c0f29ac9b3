// What a program can ask about where it runs: `performance` and `navigator`.

import { expose, illegalConstructor } from "pyworkerd:web/idl";
import { EventTarget } from "pyworkerd:web/events";
import { now } from "pyworkerd:system";

export class Performance extends EventTarget {
  constructor() {
    super();
    if (made) throw illegalConstructor();
  }
  /** As in Workers: an isolate has no beginning that a program could tell time by. */
  get timeOrigin() { return 0; }
  now() { return now(); }
  toJSON() { return { timeOrigin: 0 }; }
}
expose(Performance);

export class Navigator {
  constructor() {
    if (made) throw illegalConstructor();
  }
  get userAgent() { return "Cloudflare-Workers"; }
  get hardwareConcurrency() { return 1; }
  get language() { return "en"; }
}
expose(Navigator);

let made = false;
export const performance = new Performance();
export const navigator = new Navigator();
made = true;
