from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        if request.url.endswith("/method"):
            return Response.json([await env.AUTH.check("tea"), await env.ADMIN.role()])
        if request.url.endswith("/error"):
            try:
                await env.AUTH.check("")
            except ValueError as error:
                return Response(str(error), status=400)
        return await env.AUTH.fetch(request)
