"""Workers behind any ASGI server."""

from .app import AsgiApp

__all__ = ["AsgiApp"]
