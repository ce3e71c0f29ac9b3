// The site: pages are made here, prices are asked for.

import { page } from "./page";

interface Price {
  cents: number;
  until: Date;
}

interface Env {
  PRICES: { of(article: string): Promise<Price | null>; articles(): Promise<Set<string>> };
  SEEN: { get(key: string): Promise<string | null>; put(key: string, value: string): Promise<void> };
}

export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/") {
      const articles = [...(await env.PRICES.articles())].sort();
      return html(page("Prices", articles.map((name) => `<a href="/${name}">${name}</a>`)));
    }
    const article = decodeURIComponent(pathname.slice(1));
    const price = await env.PRICES.of(article);
    if (price === null) return html(page("Not found", ["there is no such article"]), 404);
    const seen = Number((await env.SEEN.get(article)) ?? 0) + 1;
    ctx.waitUntil(env.SEEN.put(article, String(seen)));
    const euros = (price.cents / 100).toFixed(2);
    return html(page(article, [`${euros} EUR until ${price.until.toISOString().slice(0, 10)}`, `asked ${seen} times`]));
  },
};

function html(text: string, status = 200): Response {
  return new Response(text, { status, headers: { "content-type": "text/html;charset=utf-8" } });
}
