"""`serve --otel`: whether spans and metrics go to a collector, and whether they can."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

OPTION: Final = "--otel"
EXPORTER: Final = "opentelemetry.exporter.otlp.proto.http"
PROTOCOL: Final = "http/protobuf"
_VARIABLES: Final = tuple(f"OTEL_EXPORTER_OTLP_{signal}PROTOCOL" for signal in ("", "TRACES_", "METRICS_"))


def add_otel(parser: argparse.ArgumentParser) -> None:
    """Add the argument."""
    parser.add_argument(
        OPTION,
        action="store_true",
        help="send spans and metrics to an OpenTelemetry collector, as OTEL_... says; off by default",
    )


def wants_otel(options: argparse.Namespace) -> bool:
    """Whether it was asked for. Raises `ConfigurationError` where it cannot work."""
    if not options.otel:
        return False
    try:
        found = find_spec(EXPORTER)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise ConfigurationError(
            f"{OPTION} needs the SDK of OpenTelemetry, which is not installed: pip install 'pyworkerd[otel]'"
        )
    for variable in _VARIABLES:
        if os.environ.get(variable, PROTOCOL) != PROTOCOL:
            raise ConfigurationError(
                f"{variable} is {os.environ[variable]!r}, and {OPTION} speaks {PROTOCOL} alone: unset it, and name "
                "the collector's HTTP port (4318 by custom) in OTEL_EXPORTER_OTLP_ENDPOINT"
            )
    return True
