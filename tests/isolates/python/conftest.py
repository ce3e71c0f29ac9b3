"""Puts the guest's data types within reach of the host's Python, as the package `guest_workers`.

The modules are the ones that are baked into the sandbox. The package's own `__init__` is left out: it starts
the event loop and the channels, which need a host on the other side.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

from pyworkerd_isolates import wire

GUEST = Path(wire.__file__).parent / "python" / "guest"

sys.modules.setdefault("_wire", wire)
package = sys.modules.setdefault("guest_workers", ModuleType("guest_workers"))
package.__path__ = [str(GUEST / "workers")]
