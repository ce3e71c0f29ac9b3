// The module "node:diagnostics_channel" (https://nodejs.org/api/diagnostics_channel.html): who wants to know of
// something subscribes by its name, and who knows of it publishes.

import { invalidType, requireFunction } from "pyworkerd:node_parts/errors";

const channels = new Map();

function checkName(name) {
  if (typeof name !== "string" && typeof name !== "symbol") {
    throw invalidType("channel", "one of type string or symbol", name);
  }
}

// What a subscriber throws is told apart from what the publisher does.
function tell(subscriber, message, name) {
  try {
    subscriber(message, name);
  } catch (error) {
    queueMicrotask(() => { throw error; });
  }
}

export class Channel {
  #subscribers = [];
  #stores = new Map();

  constructor(name) {
    this.name = name;
  }

  get hasSubscribers() { return this.#subscribers.length > 0 || this.#stores.size > 0; }

  subscribe(subscriber) {
    requireFunction(subscriber, "subscription");
    this.#subscribers = [...this.#subscribers, subscriber];
  }

  unsubscribe(subscriber) {
    const at = this.#subscribers.indexOf(subscriber);
    if (at < 0) return false;
    this.#subscribers = this.#subscribers.toSpliced(at, 1);
    return true;
  }

  /** What is published by `runStores` becomes the store of an AsyncLocalStorage, as `transform` makes it. */
  bindStore(store, transform = undefined) {
    this.#stores.set(store, transform);
  }

  unbindStore(store) {
    return this.#stores.delete(store);
  }

  publish(message) {
    for (const subscriber of this.#subscribers) tell(subscriber, message, this.name);
  }

  runStores(message, act, self = undefined, ...values) {
    let run = () => {
      this.publish(message);
      return Reflect.apply(act, self, values);
    };
    for (const [store, transform] of this.#stores) {
      const inner = run;
      run = () => {
        let context = message;
        try {
          if (transform !== undefined) context = transform(message);
        } catch (error) {
          queueMicrotask(() => { throw error; });
          return inner();
        }
        return store.run(context, inner);
      };
    }
    return run();
  }
}

/** The channel of this name, the same for all. */
export function channel(name) {
  const known = channels.get(name);
  if (known !== undefined) return known;
  checkName(name);
  const made = new Channel(name);
  channels.set(name, made);
  return made;
}

export function subscribe(name, subscriber) {
  channel(name).subscribe(subscriber);
}

export function unsubscribe(name, subscriber) {
  return channel(name).unsubscribe(subscriber);
}

export function hasSubscribers(name) {
  return channels.get(name)?.hasSubscribers ?? false;
}

const EVENTS = ["start", "end", "asyncStart", "asyncEnd", "error"];

export class TracingChannel {
  constructor(given) {
    for (const event of EVENTS) {
      this[event] = typeof given === "string" ? channel(`tracing:${given}:${event}`) : given[event];
      if (!(this[event] instanceof Channel)) {
        throw invalidType("nameOrChannels", "of type string or an instance of TracingChannel or Object", given);
      }
    }
  }

  get hasSubscribers() { return EVENTS.some((event) => this[event].hasSubscribers); }

  subscribe(handlers) {
    for (const event of EVENTS) if (handlers[event]) this[event].subscribe(handlers[event]);
  }

  unsubscribe(handlers) {
    return EVENTS.map((event) => !handlers[event] || this[event].unsubscribe(handlers[event])).every(Boolean);
  }

  #fail(context, error) {
    context.error = error;
    this.error.publish(context);
  }

  traceSync(act, context = {}, self = undefined, ...values) {
    return this.start.runStores(context, () => {
      try {
        context.result = Reflect.apply(act, self, values);
        return context.result;
      } catch (error) {
        this.#fail(context, error);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }

  tracePromise(act, context = {}, self = undefined, ...values) {
    return this.start.runStores(context, () => {
      try {
        return Promise.resolve(Reflect.apply(act, self, values)).then(
          (result) => {
            context.result = result;
            this.#settled(context);
            return result;
          },
          (error) => {
            this.#fail(context, error);
            this.#settled(context);
            throw error;
          },
        );
      } catch (error) {
        this.#fail(context, error);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }

  #settled(context) {
    this.asyncStart.publish(context);
    this.asyncEnd.publish(context);
  }

  /** `position`: which of the values is the callback; the last one, if that is not said. */
  traceCallback(act, position = -1, context = {}, self = undefined, ...values) {
    const at = position < 0 ? values.length + position : position;
    const callback = values[at];
    requireFunction(callback, "callback");
    const channels = this;
    values[at] = function (error, result) {
      if (error) channels.#fail(context, error);
      else context.result = result;
      return channels.asyncStart.runStores(context, () => {
        try {
          return Reflect.apply(callback, this, arguments);
        } finally {
          channels.asyncEnd.publish(context);
        }
      });
    };
    return this.start.runStores(context, () => {
      try {
        return Reflect.apply(act, self, values);
      } catch (error) {
        this.#fail(context, error);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }
}

export function tracingChannel(nameOrChannels) {
  return new TracingChannel(nameOrChannels);
}

export default { Channel, channel, hasSubscribers, subscribe, tracingChannel, unsubscribe };
