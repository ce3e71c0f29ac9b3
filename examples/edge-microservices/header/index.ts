// A fragment that is the same for an hour, whatever the others do.

export default {
  async fetch(request: Request, env: unknown, ctx: ExecutionContext): Promise<Response> {
    const kept = await caches.default.match(request);
    if (kept !== undefined) return kept;
    const made = new Response(`<header data-made="${crypto.randomUUID()}"><h1>Tea, at the edge</h1></header>\n`, {
      headers: { "content-type": "text/html; charset=utf-8", "cache-control": "max-age=3600" },
    });
    ctx.waitUntil(caches.default.put(request, made.clone()));
    return made;
  },
};
