// The page: a frame of its own, and fragments of other workers, each of which caches by itself.

import { authService, headerService, offersService } from "./bindings";
import { compose } from "./compose";

const HEAD = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Edge microservices</title><link rel="icon" href="data:,"></head>
<body>
`;
const LOGIN = `<form method="post" action="/auth/login"><input name="name" required maxlength="50" placeholder="Your name">
<button>Log in</button></form>`;
const HTML = { "content-type": "text/html; charset=utf-8" };

export default {
  async fetch(request: Request, env: unknown, ctx: ExecutionContext): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/") return new Response(page(await greeting(request)), { headers: HTML });
    if (pathname === "/homepage") return homepage(ctx);
    return new Response("There is no such page.\n", { status: 404 });
  },
};

function page(greeting: string): ReadableStream<Uint8Array> {
  return compose([HEAD, headerService.fetch("/"), greeting, offersService.fetch("/"), "</body></html>\n"]);
}

// For those who have not logged in: in one piece, kept for all of them.
async function homepage(ctx: ExecutionContext): Promise<Response> {
  const cached = await CACHE.get("homepage");
  if (cached !== null) return new Response(cached, { headers: { ...HTML, "x-from": "CACHE" } });
  const fresh = await new Response(page(LOGIN)).text();
  ctx.waitUntil(CACHE.put("homepage", fresh, { expirationTtl: 300 }));
  return new Response(fresh, { headers: HTML });
}

async function greeting(request: Request): Promise<string> {
  const token = /(?:^|;\s*)token=([\w-]+)/.exec(request.headers.get("cookie") ?? "")?.[1];
  if (token === undefined) return LOGIN;
  const answer = await authService.fetch("/me", { headers: { Authorization: `Bearer ${token}` } });
  if (!answer.ok) return LOGIN;
  const { name } = (await answer.json()) as { name: string };
  return `<p id="greeting">Hello, ${escaped(name)}!</p>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
