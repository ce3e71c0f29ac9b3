"""pyworkerd itself, as a contestant like any other."""

from .pyworkerd import Pyworkerd

__all__ = ["Pyworkerd"]
