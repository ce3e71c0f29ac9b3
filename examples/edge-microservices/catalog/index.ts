// What there is. Prices are another team's, and in Python: their worker is called as if it were here.

const NAMES = ["cup", "tea", "teapot"];

export default {
  async fetch(request: Request, env: CatalogEnv): Promise<Response> {
    const path = new URL(request.url).pathname.replace(/^\/catalog(?=\/)/, "");
    if (path !== "/items") return Response.json({ error: "there is no such thing" }, { status: 404 });
    const prices: Record<string, number> = await env.prices.of(NAMES);
    return Response.json({ items: NAMES.map((name) => ({ name, price: prices[name] })) });
  },
};
