"""A worker that looks for what is behind the server: addresses that the network's policy does not allow."""

import asyncio

import pytest
from aiohttp import web
from pyworkerd.runtime import Runtime
from pyworkerd_config.model import Config, Network, Service

WORKER = """
from workers import Response, WorkerEntrypoint, fetch

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        url = await request.text()
        try:
            response = await fetch(url)
            return Response(f"{response.status} {await response.text()}")
        except Exception as error:
            return Response(f"refused {getattr(error, 'code', '')} {error}")
"""
REACHES_NOTHING = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[fe80::1]:{port}/",
    "http://[fd00::1]:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://user:password@127.0.0.1:{port}/",
    "http://127.0.0.1%2f@example.invalid:{port}/",
    "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\r\nx-injected: 1/",
    "unix:/run/docker.sock",
]


async def secret_server() -> tuple[web.AppRunner, int, list[str]]:
    reached: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response(text="internal")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, runner.addresses[0][1], reached


def test_a_worker_cannot_reach_what_is_not_public(sandbox: object) -> None:
    async def main() -> None:
        runner, port, reached = await secret_server()
        async with Runtime() as runtime:
            worker = await runtime.load({"w.py": WORKER}, network=True)
            for pattern in REACHES_NOTHING:
                url = pattern.format(port=port)
                response = await worker.fetch("/", method="POST", body=url)
                assert (await response.text()).startswith("refused"), url
        await runner.cleanup()
        assert reached == []

    asyncio.run(main())


@pytest.mark.parametrize("allowed", ["127.0.0.2/32"])
def test_a_redirect_cannot_lead_there_either(allowed: str, sandbox: object) -> None:
    async def main() -> str:
        inside, port, reached = await secret_server()

        async def redirect(_: web.Request) -> web.Response:
            return web.Response(status=302, headers={"location": f"http://127.0.0.1:{port}/secret"})

        application = web.Application()
        application.router.add_get("/", redirect)
        outside = web.AppRunner(application)
        await outside.setup()
        await web.TCPSite(outside, "127.0.0.2", 0).start()
        network = Service("net", Network(allow=(allowed,)))
        async with Runtime(Config(services=(network,))) as runtime:
            worker = await runtime.load({"w.py": WORKER}, network="net")
            response = await worker.fetch(
                "/", method="POST", body=f"http://127.0.0.2:{outside.addresses[0][1]}/"
            )
            text = await response.text()
        await inside.cleanup()
        await outside.cleanup()
        assert reached == []
        return text

    assert asyncio.run(main()).startswith("refused access_denied")


def test_without_a_network_there_is_no_way_out(sandbox: object) -> None:
    async def main() -> str:
        async with Runtime() as runtime:
            worker = await runtime.load({"w.py": WORKER})
            return await (await worker.fetch("/", method="POST", body="http://example.com/")).text()

    assert asyncio.run(main()).startswith("refused access_denied")
