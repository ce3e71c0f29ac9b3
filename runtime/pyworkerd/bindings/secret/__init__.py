"""`NAME = { secret = "TOKEN" }`: a value from the process's environment, or else from `.dev.vars`.

Between there and the isolate it is a `Secret` or an encoded `Value`, and neither shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, Self

from pyworkerd_config.problems import quote

from pyworkerd.bindings.base import Binding, Value, text_of

if TYPE_CHECKING:
    from pyworkerd_config.model import Binding as Configured
    from pyworkerd_config.model import Place

    from pyworkerd.bindings.base import Grant, Host


class Secret:
    """A text that no repr, format, log entry or pickle shows. `reveal()` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for where it is used and nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")


class SecretBinding(Binding):
    """A `str` on `env`."""

    __slots__ = ("_source",)

    kind = "secret"
    hidden = True

    def __init__(self, name: str, source: str | Secret, place: Place | None = None) -> None:
        super().__init__(name, place)
        self._source = source
        """Name of the variable that holds it, or the secret itself where a program gave it."""

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is the name of a variable, not the secret: secrets have no place in a configuration."""
        text = text_of(configured, "the value is not the name of a variable", 'write { secret = "TOKEN" }')
        return cls(configured.name, text, configured.place)

    async def prepare(self, host: Host) -> Grant:
        """Looks the value up. Raises `ConfigurationError` if neither place has it."""
        secret = self._source if isinstance(self._source, Secret) else self._look_up(host, self._source)
        return Value.of(secret.reveal())

    def _look_up(self, host: Host, variable: str) -> Secret:
        for place in (host.environment, host.secrets):
            if variable in place:
                return Secret(place[variable])
        raise self.problem(
            f"the secret {quote(variable)} is neither in the process's environment nor in .dev.vars",
            f"set the variable {variable}, or write {variable}=... in .dev.vars beside the configuration",
        )
