// A fragment that asks the catalog, and is good for a second.

const catalogService = new ServiceBinding("catalog");

export default {
  async fetch(request: Request, env: unknown, ctx: ExecutionContext): Promise<Response> {
    const kept = await caches.default.match(request);
    if (kept !== undefined) return kept;
    const answer = await catalogService.fetch("/items");
    const { items } = (await answer.json()) as { items: { name: string; price: number }[] };
    const rows = items.map(({ name, price }) => `<li>${name}, ${price.toFixed(2)} €</li>`);
    const made = new Response(`<ul id="offers" data-made="${crypto.randomUUID()}">${rows.join("")}</ul>\n`, {
      headers: { "content-type": "text/html; charset=utf-8", "cache-control": "max-age=1" },
    });
    ctx.waitUntil(caches.default.put(request, made.clone()));
    return made;
  },
};
