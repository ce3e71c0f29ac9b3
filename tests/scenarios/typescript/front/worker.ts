import { WorkerEntrypoint } from "cloudflare:workers";
import { Router } from "./router";
import words from "./words.json";

interface Prices {
  of(article: string, options: { currency: string }): Promise<{ article: string; price: number; when: Date }>;
  fetch(request: Request | string): Promise<Response>;
}

interface Env {
  PRICES: Prices;
  GREETING: string;
  RATES: Record<string, number>;
}

const router = new Router<Env>()
  .on("/", async (_, env) => new Response(`${env.GREETING} ${words.world}`))
  .on("/price", async (url, env) => {
    const found = await env.PRICES.of(url.searchParams.get("article") ?? "", { currency: "EUR" });
    return Response.json({ ...found, price: found.price * env.RATES.EUR, isDate: found.when instanceof Date });
  })
  .on("/page", async (_, env) => env.PRICES.fetch("http://prices/page"))
  .on("/broken", async () => {
    throw new RangeError("the front is broken");
  });

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    return router.route(request, env);
  },
} satisfies object;

export class Texts extends WorkerEntrypoint<Env> {
  title(page: string): string {
    return page.toUpperCase();
  }
}
