"""The kinds of isolation that a worker can have, and which of them a process runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd.dispatch.worker import Worker
from pyworkerd.errors import ConfigurationError

if TYPE_CHECKING:
    from pyworkerd_config.model import Service
    from pyworkerd_config.model import Worker as WorkerModel

TRUSTED: Final = "subinterpreter"
ALLOW: Final = "--allow-trusted"
"""What allows it on a command line. No configuration can: whoever writes one may not be who runs it."""

ALLOW_HELP: Final = f'run workers with isolation = "{TRUSTED}", which are in no sandbox; off by default'


def must_be_allowed(service: Service, worker: WorkerModel, allow_trusted: bool) -> None:
    """Raises `ConfigurationError` for a worker that would run without a sandbox where nobody has allowed that."""
    if worker.isolation == TRUSTED and not allow_trusted:
        place = service.places.at("worker", "isolation") if service.places.lines else service.place
        raise ConfigurationError(
            f'{place}: service {service.name!r} has isolation = "{TRUSTED}", which '
            f"is no security boundary: its code can do whatever this process can. To run it, start with {ALLOW} (in "
            'a program: RuntimeOptions(allow_trusted=True)); to have it in the sandbox, write isolation = "wasm"'
        )


def worker_class(isolation: str, *, recorded: bool = False) -> type[Worker]:
    """What runs workers of this kind, of whose invocations some may be recorded."""
    if isolation != TRUSTED and recorded:
        from pyworkerd.dispatch.recorded import RecordedWorker  # noqa: PLC0415 (start-up time)

        return RecordedWorker
    if isolation != TRUSTED:
        return Worker
    from pyworkerd.dispatch.trusted import TrustedWorker  # noqa: PLC0415 (start-up time)

    return TrustedWorker
