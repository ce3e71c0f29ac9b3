"""`NAME = { json = { currency = "EUR" } }`: whatever JSON can say (RFC 8259)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Self

from pyworkerd.bindings.base import problem
from pyworkerd.bindings.values import ValueBinding

if TYPE_CHECKING:
    from pyworkerd_config.model import Binding as Configured


class JsonBinding(ValueBinding):
    """A `dict`, `list`, `str`, `int`, `float`, `bool` or None on `env`; a new one in each isolate."""

    __slots__ = ()

    kind = "json"

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is anything that JSON can say."""
        try:
            json.dumps(configured.value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise problem(
                configured.name,
                configured.place,
                f"JSON cannot say this value ({error})",
                "use texts, numbers, true, false, lists and tables",
            ) from None
        return cls(configured.name, configured.value, configured.place)
