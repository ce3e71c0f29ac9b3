// GET /NAME tells how often somebody has said POST /NAME. Each name is an object of its own.

import { DurableObject } from "cloudflare:workers";

export class Counter extends DurableObject<CountersEnv> {
  async add(): Promise<number> {
    const count = (await this.value()) + 1;
    await this.ctx.storage.put("count", count);
    return count;
  }

  async value(): Promise<number> {
    return (await this.ctx.storage.get<number>("count")) ?? 0;
  }
}

export default {
  async fetch(request: Request, env: CountersEnv): Promise<Response> {
    const counter = env.COUNTERS.getByName(new URL(request.url).pathname);
    const count = request.method === "POST" ? await counter.add() : await counter.value();
    return Response.json({ count });
  },
};
