const bytes = new Uint8Array([0, 255, 7]);

const PARTS = {
  async kv(env) {
    await env.CACHE.put("text", "caf\u00e9", { metadata: { from: "caf\u00e9" } });
    await env.CACHE.put("bytes", bytes);
    await env.CACHE.put("stream", new Response("streamed").body, { expirationTtl: 60 });
    await env.CACHE.put("json", JSON.stringify({ a: [1] }));
    const listed = await env.CACHE.list({ prefix: "", limit: 3 });
    const rest = await env.CACHE.list({ cursor: listed.cursor });
    const found = [
      await env.CACHE.get("text"),
      await env.CACHE.getWithMetadata("text"),
      [...new Uint8Array(await env.CACHE.get("bytes", "arrayBuffer"))],
      await new Response(await env.CACHE.get("stream", { type: "stream" })).text(),
      await env.CACHE.get("json", { type: "json" }),
      [...(await env.CACHE.get(["text", "none"]))],
      listed.keys.map(({ name }) => name),
      listed.list_complete,
      rest.keys.map(({ name, metadata }) => [name, metadata]),
      rest.list_complete,
    ];
    await env.CACHE.delete("text");
    return [...found, await env.CACHE.get("text")];
  },

  async d1(env) {
    await env.DB.exec("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT, price REAL, data BLOB)");
    await env.DB.prepare("DELETE FROM items").run();
    const insert = env.DB.prepare("INSERT INTO items (name, price, data) VALUES (?, ?, ?)");
    const { meta } = await insert.bind("tea", 2.5, bytes).run();
    await env.DB.batch([insert.bind("caf\u00e9", 3, null), insert.bind("x".repeat(9000), true, [1, 2])]);
    const all = await env.DB.prepare("SELECT name, price, data FROM items WHERE price > ? ORDER BY id").bind(2).all();
    const session = env.DB.withSession();
    return [
      meta.changes,
      all.success,
      all.results,
      await env.DB.prepare("SELECT length(name) AS size, price, data FROM items ORDER BY id DESC").first(),
      await env.DB.prepare("SELECT name FROM items WHERE id = 99").first(),
      await env.DB.prepare("SELECT name FROM items").first("name"),
      await env.DB.prepare("SELECT id, name FROM items ORDER BY id LIMIT 1").raw({ columnNames: true }),
      (await session.prepare("SELECT count(*) AS n FROM items").first()).n,
      await env.DB.prepare("SELEC").run().catch((error) => error.message),
      await env.DB.prepare("SELECT name FROM items").first("nothing").catch((error) => error.message),
      await (async () => insert.bind(() => 1))().catch((error) => error.message),
    ];
  },

  async limit(env) {
    const uses = [];
    for (let i = 0; i < 3; i++) uses.push((await env.LIMITER.limit({ key: "a" })).success);
    return uses;
  },
};

export default {
  async fetch(request, env) {
    return Response.json(await PARTS[new URL(request.url).pathname.slice(1)](env));
  },
};
