"""A worker that is loaded from source, on the threads for long steps: in the turns of whoever wants it loaded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyworkerd_isolates.bundle import Bundle
    from pyworkerd_isolates.engine import Engine
    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.unfrozen import Loading


class PreparingJob:
    """Files that are compiled first, in one piece. Implements `threads.Slices`; `bundle` is done when it is over."""

    def __init__(self, engine: Engine, bundle: Bundle, budget_ms: float) -> None:
        self.bundle: asyncio.Future[Bundle] = asyncio.get_running_loop().create_future()
        self._engine, self._sources, self._budget_ms = engine, bundle, budget_ms
        self._result: Bundle | Exception | None = None

    def go_on(self, slice_ms: float) -> bool:
        """See `threads.Slices`: all of it at once."""
        del slice_ms
        if self.bundle.cancelled():
            return True
        try:
            self._result = self._engine.prepared(self._sources, self._budget_ms)
        except Exception as error:  # noqa: BLE001 - told apart by whoever waits
            self._result = error
        return True

    def over(self) -> None:
        """See `threads.Slices`."""
        result, self._result = self._result, None
        if self.bundle.done() or result is None:
            return
        if isinstance(result, Exception):
            self.bundle.set_exception(result)
        else:
            self.bundle.set_result(result)


class LoadingJob:
    """Implements `threads.Slices`. `image` is done when it is over; who does not want it any more may cancel it."""

    def __init__(self, loading: Loading) -> None:
        self.image: asyncio.Future[Image] = asyncio.get_running_loop().create_future()
        self._loading = loading
        self._result: Image | Exception | None = None

    def go_on(self, slice_ms: float) -> bool:
        """See `threads.Slices`."""
        if self.image.cancelled():
            self._loading.close()
            return True
        try:
            self._result = self._loading.go_on(slice_ms)
        except Exception as error:  # noqa: BLE001 - told apart by whoever waits
            self._result = error
        return self._result is not None

    def over(self) -> None:
        """See `threads.Slices`."""
        result, self._result = self._result, None
        if isinstance(result, Exception):
            if not self.image.done():
                self.image.set_exception(result)
        elif result is not None:
            if not self.image.done():
                self.image.set_result(result)
            elif result.sources is not None:
                result.sources.keep(None)
