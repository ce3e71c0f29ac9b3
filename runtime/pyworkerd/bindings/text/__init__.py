"""`NAME = { text = "hello" }`: a text, as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pyworkerd.bindings.base import problem
from pyworkerd.bindings.values import ValueBinding

if TYPE_CHECKING:
    from pyworkerd_config.model import Binding as Configured


class TextBinding(ValueBinding):
    """A `str` on `env`."""

    __slots__ = ()

    kind = "text"

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is any text."""
        if not isinstance(configured.value, str):
            raise problem(
                configured.name, configured.place, "the value is not a text", 'write { text = "hello" }'
            )
        return cls(configured.name, configured.value, configured.place)
