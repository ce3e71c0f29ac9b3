"""What `dev` prints about itself."""

from __future__ import annotations

import io

from pyworkerd.problems import Fault
from pyworkerd.supervisor.dev_reports import DevReports

from tests.runtime.supervisor.test_reports import tell


def test_addresses_on_standard_output_and_all_else_beside_it() -> None:
    out, err = io.StringIO(), io.StringIO()
    tell(DevReports(out, err, colour=False))
    assert out.getvalue() == "Ready on http://*:80\nReady on unix:/s\n"
    assert err.getvalue().splitlines() == [
        "engine: merg\\x1bing\\n",
        "[w] deployed in 12 ms",
        "[w] deployed in 1 ms",
        "workers are deployed at their first request: 10000 of them",
        "admin: http://127.0.0.1:9",
        "Reloaded in 12 ms",
        "error: c.toml:1: bad\\x1b",
        "error: worse",
        "The version before goes on until this is mended.",
        "stopping: finishing what runs (once more to stop at once)",
    ]


def test_colours_and_the_lines_in_question() -> None:
    err = io.StringIO()
    DevReports(io.StringIO(), err, colour=True).broken([Fault("w.py:1: no\n\n> 1 | x = \x1b(")])
    assert err.getvalue() == "\x1b[31merror: w.py:1: no\x1b[0m\n\n> 1 | x = \\x1b(\n"
