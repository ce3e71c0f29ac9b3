import asyncio

from workers import Response, WorkerEntrypoint

done = []


async def later():
    await asyncio.sleep(0)
    done.append("later")


class Default(WorkerEntrypoint):
    async def fetch(self, request, env, ctx):
        if request.url.endswith("/done"):
            print("logged")
            return Response.json(done)
        ctx.wait_until(later())
        return Response("answered")
