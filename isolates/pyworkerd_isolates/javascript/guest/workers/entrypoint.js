// What a worker's own classes derive from.

// One object is made for each invocation: `this.ctx` and `this.env` are what handlers are given otherwise.
export class WorkerEntrypoint {
  constructor(ctx, env) {
    this.ctx = ctx;
    this.env = env;
  }
}

export class DurableObject {
  constructor(ctx, env) {
    this.ctx = ctx;
    this.env = env;
  }
}

// An object that is lent to another worker, and not copied: what its class defines can be called there by a stub.
export class RpcTarget {}
