"""Counts words, for workers that are bound to it: `await env.WORDS.count(text)`."""

from typing import Any

from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def count(self, text: str) -> dict[str, Any]:
        words = text.split()
        return {"words": len(words), "longest": max(words, key=len, default="")}
