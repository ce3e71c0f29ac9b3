// As in older programs: the classes extend nothing, and the sockets are kept in a variable.
export default {
  fetch(request, env) {
    const name = new URL(request.url).pathname.slice(1);
    return env.rooms.get(env.rooms.idFromName(name)).fetch(request);
  },
};

export class Room {
  constructor(controller, env) {
    this.storage = controller.storage;
    this.env = env;
    this.sessions = [];
  }

  async fetch(request) {
    if (request.headers.get("upgrade") !== "websocket") {
      return Response.json([...(await this.storage.list()).values()]);
    }
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    this.sessions.push(server);
    server.addEventListener("message", async ({ data }) => {
      await this.storage.put(`message ${(await this.storage.list()).size}`, data);
      for (const session of this.sessions) session.send(`said: ${data}`);
    });
    return new Response(null, { status: 101, webSocket: client });
  }
}
