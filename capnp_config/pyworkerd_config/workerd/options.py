"""What workerd's command line says besides the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class WorkerdOptions:
    """Options by the names of what they are about. Other dialects have none of them but addresses of sockets."""

    constant: str = ""
    """Name of the constant that is meant; the only one of the type Config needs none."""
    import_paths: tuple[Path, ...] = ()
    """Folders whose files the configuration may name as well (`-I`)."""
    binary: bool = False
    """That the file is an encoded message (`--binary`), whatever it is called."""
    sockets: Mapping[str, str] = field(default_factory=dict)
    """Addresses by the names of sockets."""
    externals: Mapping[str, str] = field(default_factory=dict)
    """Addresses by the names of services (`--external-addr`)."""
    directories: Mapping[str, Path] = field(default_factory=dict)
    """Paths by the names of services (`--directory-path`)."""

    def written(self) -> str:
        """The first thing here that only workerd's dialect has, in words; empty if there is none."""
        said = (
            ("a constant to be named", self.constant),
            ("import paths (-I)", self.import_paths),
            ("a binary form (--binary)", self.binary),
            ("servers to be named (--external-addr)", self.externals),
            ("folders to be named (--directory-path)", self.directories),
        )
        return next((words for words, value in said if value), "")


DEFAULTS: Final = WorkerdOptions()
