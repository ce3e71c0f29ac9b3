"""What is kept for those who look at a running server: one for each server that has an admin address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .following import Followers
from .status import Standing

if TYPE_CHECKING:
    from .routes import Server


class Live:
    """Make it inside the event loop; `aclose` it in the end."""

    def __init__(self, server: Server) -> None:
        self.standing = Standing(server)
        self.followers = Followers(server)

    async def aclose(self) -> None:
        """Let streams end."""
        await self.followers.aclose()
