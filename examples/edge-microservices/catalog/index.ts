// What there is. Prices are another team's, and in Python: their worker is called as if it were here.

interface Env {
  prices: { of(names: string[]): Promise<Record<string, number>> };
}

const NAMES = ["cup", "tea", "teapot"];

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const path = new URL(request.url).pathname.replace(/^\/catalog(?=\/)/, "");
    if (path !== "/items") return Response.json({ error: "there is no such thing" }, { status: 404 });
    const prices = await env.prices.of(NAMES);
    return Response.json({ items: NAMES.map((name) => ({ name, price: prices[name] })) });
  },
};
