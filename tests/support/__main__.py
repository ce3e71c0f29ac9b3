"""`python -m tests.support`: writes docs/support.md."""

from __future__ import annotations

from tests.support.matrix import PAGE, page

PAGE.write_text(page(), encoding="utf-8")
