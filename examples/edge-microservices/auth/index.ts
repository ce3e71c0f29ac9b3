// Who somebody is. A browser has a token, the database only its digest.

const db = D1Database.fromEnv("DB");

export default {
  async fetch(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname.replace(/^\/auth(?=\/)/, "");
    if (path === "/login") return request.method === "POST" ? login(request) : howTo();
    if (path === "/me") return me(request);
    return Response.json({ error: "there is no such thing" }, { status: 404 });
  },
};

function howTo(): Response {
  return Response.json({ login: "POST a form with your name" });
}

async function login(request: Request): Promise<Response> {
  const name = (await request.formData()).get("name");
  if (typeof name !== "string" || name === "" || name.length > 50) {
    return Response.json({ error: "a name has 1 to 50 characters" }, { status: 400 });
  }
  const token = crypto.randomUUID();
  const id = await digest(token);
  await db.execute("INSERT INTO users (id, name) VALUES (?, ?)", [id, name]);
  console.log("somebody logged in");
  const cookie = `token=${token}; Path=/; HttpOnly; SameSite=Lax; Max-Age=86400`;
  return new Response(null, { status: 303, headers: { location: "/", "set-cookie": cookie } });
}

async function me(request: Request): Promise<Response> {
  const token = /^Bearer (\S+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
  if (token !== undefined) {
    const found = await db.execute<{ name: string }>("SELECT name FROM users WHERE id = ?", [await digest(token)]);
    if (found.results.length > 0) return Response.json(found.results[0]);
  }
  return Response.json({ error: "who are you?" }, { status: 401, headers: { "www-authenticate": "Bearer" } });
}

async function digest(token: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
