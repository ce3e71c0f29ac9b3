"""The runtime's own fixtures."""

from tests.runtime.conftest import with_runtime

__all__ = ["with_runtime"]
