"""Which service a request belongs to. Pure."""

from .table import Route, Table

__all__ = ["Route", "Table"]
