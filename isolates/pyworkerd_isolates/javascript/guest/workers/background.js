// What handlers are given that no client waits for, and what goes back to the host.

class ScheduledController {
  #event;
  #noRetry = false;

  constructor(event) {
    this.#event = event;
  }

  get cron() {
    return this.#event.cron;
  }

  get scheduledTime() {
    return this.#event.scheduled_time;
  }

  noRetry() {
    this.#noRetry = true;
  }

  static outcome(controller) {
    return { no_retry: controller.#noRetry };
  }
}

// The request of an invocation, without credentials and ids; `getUnredacted()` has them.
class TailRequest {
  #whole;

  constructor({ method, url, headers, unredacted }) {
    Object.assign(this, { method, url, headers });
    this.#whole = { method, url: unredacted.url, headers: { ...headers, ...unredacted.headers } };
  }

  getUnredacted() {
    return this.#whole;
  }
}

// What a `test` handler is given. workerd's has no members either.
class TestController {}

const KINDS = {
  test: () => ({ given: new TestController(), outcome: () => null }),
  tail(items) {
    for (const { event } of items) if (event.request !== undefined) event.request = new TailRequest(event.request);
    return { given: items, outcome: () => null };
  },
  scheduled(event) {
    const given = new ScheduledController(event);
    return { given, outcome: () => ScheduledController.outcome(given) };
  },
};

export function addEventKind(handler, make) {
  KINDS[handler] = make;
}

export function makeEvent(handler, event) {
  if (!Object.hasOwn(KINDS, handler)) throw new TypeError(`JavaScript workers cannot handle ${handler}() yet`);
  return KINDS[handler](event);
}
