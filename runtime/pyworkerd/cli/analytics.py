"""`pyworkerd analytics`: ask a worker's dataset with SQL, also while the server runs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from pyworkerd.bindings.analytics_engine.dataset import DESIGN, Dataset
from pyworkerd.storage.stores import Stores

from .stores import add_binding, cell, store_of, with_runtime

if TYPE_CHECKING:
    import argparse

    from pyworkerd.runtime import Runtime


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "example: pyworkerd analytics config.toml shop REQUESTS 'SELECT count(*) FROM points'"
    add_binding(parser, "dataset")
    parser.add_argument("sql", metavar="SQL", help="a query of the table points")


def run(options: argparse.Namespace) -> int:
    """Do it. Raises `ConfigError`, `ConfigurationError`, `Refusal`."""

    async def work(runtime: Runtime) -> int:
        name = store_of(runtime.config, "analytics_engine", options.worker, options.binding)
        location = runtime.location("analytics_engine", name, options.worker)
        stores = runtime.shared.get(Stores, Stores)
        answer = await Dataset(stores.use(location, DESIGN), stores).query(options.sql)
        for row in answer.rows:
            values = dict(zip(answer.columns, row, strict=True))
            line = (
                json.dumps(values)
                if options.json
                else "\t".join(cell("" if value is None else str(value)) for value in row)
            )
            sys.stdout.write(line + "\n")
        return 0

    return with_runtime(options.config, work)
