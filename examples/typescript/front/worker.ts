// The site: pages are made here, prices are asked for.

import { page } from "./page";

interface Price {
  cents: number;
  until: Date;
}

interface Env {
  PRICES: { of(article: string): Promise<Price>; articles(): Promise<Set<string>> };
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
    const seen = Number((await env.SEEN.get(article)) ?? 0) + 1;
    ctx.waitUntil(env.SEEN.put(article, String(seen)));
    try {
      const { cents, until } = await env.PRICES.of(article);
      const lines = [`${(cents / 100).toFixed(2)} EUR until ${until.toISOString().slice(0, 10)}`, `asked ${seen} times`];
      return html(page(article, lines));
    } catch (error) {
      if (error instanceof TypeError) return html(page("Not found", [error.message]), 404);
      throw error;
    }
  },
};

function html(text: string, status = 200): Response {
  return new Response(text, { status, headers: { "content-type": "text/html;charset=utf-8" } });
}
