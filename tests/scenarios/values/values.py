from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        found = [env.GREETING, env.SETTINGS["currency"], bytes(env.BLOB).decode(), env.MODE, len(env.TOKEN)]
        return Response.json([*found, hasattr(env, "NOT_GRANTED")])
