from workers import Response, WorkerEntrypoint

CODE = """
from workers import Response, WorkerEntrypoint, fetch

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(f"{await self.env.TOOLS.double(21)} {sorted(self.env)}", status=203)

    async def outside(self):
        return (await fetch("http://127.0.0.1/")).status
"""


class Tools(WorkerEntrypoint):
    async def double(self, number):
        return 2 * number


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        env = {"TOOLS": self.env.TOOLS}
        code = {"main_module": "code.py", "modules": {"code.py": CODE}, "env": env}
        entrypoint = self.env.LOADER.get("code", lambda: code).get_entrypoint()
        if request.url.endswith("/outside"):
            try:
                return Response(str(await entrypoint.outside()))
            except Exception as error:
                return Response(str(error), status=403)
        return await entrypoint.fetch(request)
