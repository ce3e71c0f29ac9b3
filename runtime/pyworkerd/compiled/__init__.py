"""Compiled files: a configuration and all that it needs in one file, which `serve` runs anywhere (`workerd compile`).

    compile_to(config, Path("shop.pyworkerd"))
    config = open_compiled(Path("shop.pyworkerd"))

Such a file is a ZIP archive of a `config.toml` and the files that it names. It has no secrets, no keys of TLS and no
native code. Whoever opens one need not trust it further than a configuration: it is read with limits, nothing of it is
outside of a folder of its own, and of the machine's own files it names only what lies beside it, and certificates.
"""

from .layout import SUFFIX
from .read import open_compiled
from .write import Summary, compile_to

__all__ = ["SUFFIX", "Summary", "compile_to", "open_compiled"]
