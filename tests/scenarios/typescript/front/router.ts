type Handler<Env> = (url: URL, env: Env) => Promise<Response>;

export class Router<Env> {
  private readonly handlers = new Map<string, Handler<Env>>();

  on(path: string, handler: Handler<Env>): this {
    this.handlers.set(path, handler);
    return this;
  }

  async route(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    const handler = this.handlers.get(url.pathname);
    return handler ? handler(url, env) : new Response("not found", { status: 404 });
  }
}
