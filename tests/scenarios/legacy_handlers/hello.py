from workers import Response


async def on_fetch(request, env, ctx):
    return Response("hello " + env.NAME)
