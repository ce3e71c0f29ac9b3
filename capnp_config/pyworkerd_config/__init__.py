"""One frozen model of a configuration, and the readers that make it from files.

`load(path)` does everything; `parse_toml`, `check` and `check_files` are its steps, `to_toml` and `to_json`
the way back. Only `load.py` touches the disk.
"""

from .check import check
from .explain import to_json, to_toml
from .kinds import BINDING_KINDS, BindingKind, BindingKinds
from .limits import LIMIT_RANGES, PROCESSES_RANGES
from .load import check_files, load, read_data
from .model import (
    Acme,
    Admin,
    Assets,
    Binding,
    Certificate,
    Config,
    Disk,
    Extension,
    External,
    Https,
    KeyPath,
    Limits,
    Module,
    Network,
    ObjectClass,
    Place,
    Places,
    Processes,
    RateLimit,
    Service,
    Socket,
    Store,
    Worker,
)
from .names import SystemdAddress, TcpAddress, UnixAddress, parse_address
from .problems import ConfigError, Problem
from .toml.reader import parse_toml, with_internet
from .workerd.options import WorkerdOptions

__all__ = [
    "BINDING_KINDS",
    "LIMIT_RANGES",
    "PROCESSES_RANGES",
    "Acme",
    "Admin",
    "Assets",
    "Binding",
    "BindingKind",
    "BindingKinds",
    "Certificate",
    "Config",
    "ConfigError",
    "Disk",
    "Extension",
    "External",
    "Https",
    "KeyPath",
    "Limits",
    "Module",
    "Network",
    "ObjectClass",
    "Place",
    "Places",
    "Problem",
    "Processes",
    "RateLimit",
    "Service",
    "Socket",
    "Store",
    "SystemdAddress",
    "TcpAddress",
    "UnixAddress",
    "Worker",
    "WorkerdOptions",
    "check",
    "check_files",
    "load",
    "parse_address",
    "parse_toml",
    "read_data",
    "to_json",
    "to_toml",
    "with_internet",
]
