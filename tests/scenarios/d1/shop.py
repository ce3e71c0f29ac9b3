from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        if request.method == "POST":
            name, price = (await request.text()).split("=")
            statement = env.DB.prepare("INSERT INTO items (name, price) VALUES (?, ?)").bind(name, int(price))
            result = await statement.run()
            return Response.json([result.meta.last_row_id, result.meta.changes])
        found = await env.DB.prepare("SELECT name, price FROM items ORDER BY price").all()
        return Response.json(found.results)
