// Notes: routing, middleware, JSON and a stream, by Hono.

import { Hono } from "hono";
import { cors } from "hono/cors";
import { HTTPException } from "hono/http-exception";
import { streamText } from "hono/streaming";

interface Bindings {
  NOTES: {
    get(key: string, type: "json"): Promise<Note | null>;
    put(key: string, value: string): Promise<void>;
    list(options: { prefix: string }): Promise<{ keys: { name: string }[] }>;
    delete(key: string): Promise<void>;
  };
  TITLE: string;
}

interface Note {
  text: string;
  at: string;
}

const app = new Hono<{ Bindings: Bindings }>();

app.use("/notes/*", cors());
app.use(async (c, next) => {
  await next();
  c.header("x-served-by", "hono");
});

app.get("/", (c) => c.text(c.env.TITLE));

app.get("/notes/:name", async (c) => {
  const note = await c.env.NOTES.get(c.req.param("name"), "json");
  if (note === null) throw new HTTPException(404, { message: "there is no such note" });
  return c.json(note);
});

app.put("/notes/:name", async (c) => {
  const { text } = await c.req.json<{ text: string }>();
  const note: Note = { text, at: new Date().toISOString() };
  await c.env.NOTES.put(c.req.param("name"), JSON.stringify(note));
  return c.json(note, 201);
});

app.delete("/notes/:name", async (c) => {
  await c.env.NOTES.delete(c.req.param("name"));
  return c.body(null, 204);
});

app.get("/all", (c) =>
  streamText(c, async (stream) => {
    for (const { name } of (await c.env.NOTES.list({ prefix: "" })).keys) {
      const note = await c.env.NOTES.get(name, "json");
      await stream.writeln(`${name}: ${note?.text}`);
    }
  }),
);

export default app;
