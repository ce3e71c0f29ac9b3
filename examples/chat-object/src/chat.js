// Chat rooms: whatever one says, all in the room hear. The first message of each is a name.

import { DurableObject } from "cloudflare:workers";
import PAGE from "./index.html";

const [MAX_NAME, MAX_TEXT] = [40, 2000];
const REMEMBERED = 20;

export class Room extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS said (id INTEGER PRIMARY KEY, name TEXT, text TEXT)");
  }

  fetch() {
    const [client, server] = Object.values(new WebSocketPair());
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(socket, message) {
    const name = socket.deserializeAttachment();
    if (typeof message !== "string") return;
    if (name === null) this.#enter(socket, message);
    else if (message.length <= MAX_TEXT) this.#say(name, message);
  }

  webSocketClose(socket) {
    const name = socket.deserializeAttachment();
    if (name !== null) this.#tell({ left: name });
  }

  #enter(socket, name) {
    if (name === "" || name.length > MAX_NAME || this.#names().includes(name)) {
      socket.close(4000, "choose another name");
      return;
    }
    for (const said of this.ctx.storage.sql.exec("SELECT name, text FROM said ORDER BY id")) {
      socket.send(JSON.stringify(said));
    }
    socket.serializeAttachment(name);
    this.#tell({ joined: name, here: this.#names().sort() });
  }

  #say(name, text) {
    const { sql } = this.ctx.storage;
    sql.exec("INSERT INTO said (name, text) VALUES (?, ?)", name, text);
    sql.exec("DELETE FROM said WHERE id <= (SELECT max(id) FROM said) - ?", REMEMBERED);
    this.#tell({ name, text });
  }

  #names() {
    return this.ctx.getWebSockets().map((each) => each.deserializeAttachment()).filter((name) => name !== null);
  }

  // Send to everybody who has a name. Who reads too slowly is asked to come again.
  #tell(message) {
    const text = JSON.stringify(message);
    for (const socket of this.ctx.getWebSockets()) {
      if (socket.deserializeAttachment() === null) continue;
      try {
        socket.send(text);
      } catch {
        socket.close(1013, "you read too slowly");
      }
    }
  }
}

export default {
  fetch(request, env) {
    const url = new URL(request.url);
    if (url.pathname === "/") return Response.redirect(new URL("/lobby", url));
    if (request.headers.get("upgrade") !== "websocket") {
      return new Response(PAGE, { headers: { "content-type": "text/html;charset=utf-8" } });
    }
    const origin = request.headers.get("origin");
    if (origin !== null && new URL(origin).host !== url.host) {
      return new Response("not from this page", { status: 403 }); // browsers let any page connect
    }
    return env.ROOM.getByName(url.pathname).fetch(request);
  },
};
