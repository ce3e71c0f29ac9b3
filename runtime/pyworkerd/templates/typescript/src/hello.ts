// Greets visitors, and counts them.

import { WorkerEntrypoint } from "cloudflare:workers";

export default class Hello extends WorkerEntrypoint<HelloEnv> {
  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname !== "/") return new Response("there is no such page", { status: 404 });
    const name = searchParams.get("name") ?? "world";
    const page = `<h1>${escaped(this.env.GREETING)}, ${escaped(name)}!</h1><p>visit ${await this.visit()}</p>`;
    return new Response(page, { headers: { "content-type": "text/html;charset=utf-8" } });
  }

  // Count one more. A worker that is bound to this one may call it: `await env.HELLO.visit()`.
  async visit(): Promise<number> {
    const count = Number((await this.env.VISITS.get("count")) ?? 0) + 1;
    await this.env.VISITS.put("count", String(count));
    return count;
  }
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
