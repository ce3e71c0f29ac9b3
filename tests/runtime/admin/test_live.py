"""What is kept for those who look at a running server."""

from __future__ import annotations

from pyworkerd.observe.feed import Question
from pyworkerd.observe.selection import Selection

from tests.runtime.admin.test_routes import Fixed
from tests.runtime.server.client import run


def test_streams_end_with_it() -> None:
    async def main() -> None:
        live = Fixed(1).live
        follower = await live.followers.follow(Selection(), Question(most=0))
        assert follower is not None
        await live.aclose()
        assert [piece async for piece in follower] == []

    run(main)
