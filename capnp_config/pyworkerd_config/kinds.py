"""The kinds of bindings, as data: what the value of each is and which keys may stand beside it.

`NAME = { kind = value, option = value }`. The runtime passes its own table to the readers; `BINDING_KINDS` is
what this package uses when it is alone. Adding a kind is adding a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

ValueType = Literal["text", "name", "service", "data", "json", "table", "count", "path", "store", "bindings"]
"""`text`: any text. `name`: one that is not empty. `service`: name of a service. `data`: base64 or a file.
`json`: what JSON can hold. `table`: the keys of `BindingKind.fields`. `count`: an integer from 1. `path`: a path, which
starts from the folder of the file. `store`: name of a store. `bindings`: a table of other bindings."""


@dataclass(frozen=True, slots=True)
class BindingKind:
    """How a binding of one kind is written."""

    value: ValueType
    example: str
    """The binding as an operator would write it."""
    options: Mapping[str, ValueType] = field(default_factory=dict)
    """Keys that may stand beside the kind's own."""
    fields: Mapping[str, ValueType] = field(default_factory=dict)
    """Keys of a value that is a `table`; all of them are needed."""


BindingKinds = Mapping[str, BindingKind]

BINDING_KINDS: BindingKinds = MappingProxyType(
    {
        "text": BindingKind("text", 'NAME = { text = "hello" }'),
        "json": BindingKind("json", 'NAME = { json = { currency = "EUR" } }'),
        "data": BindingKind("data", 'NAME = { data = { file = "logo.png" } }'),
        "environment": BindingKind("name", 'NAME = { environment = "HOME" }'),
        "secret": BindingKind("name", 'NAME = { secret = "TOKEN" }'),
        "service": BindingKind(
            "service", 'NAME = { service = "auth" }', options={"entrypoint": "name", "props": "json"}
        ),
        "rate_limit": BindingKind(
            "table",
            "NAME = { rate_limit = { limit = 100, period = 60 } }",
            fields={"limit": "count", "period": "count"},
        ),
        "kv": BindingKind("store", 'NAME = { kv = "cache" }', options={"size_mb": "count"}),
        "durable_object": BindingKind(
            "name", 'NAME = { durable_object = "Room" }', options={"service_name": "service"}
        ),
        "r2": BindingKind("store", 'NAME = { r2 = "files" }', options={"size_mb": "count"}),
        "queue": BindingKind("name", 'NAME = { queue = "jobs" }'),
        "d1": BindingKind(
            "store",
            'NAME = { d1 = "shop", migrations = "migrations" }',
            options={"migrations": "path", "size_mb": "count", "query_ms": "count"},
        ),
        "worker_loader": BindingKind("table", "NAME = { worker_loader = {} }"),
        "analytics_engine": BindingKind(
            "store", 'NAME = { analytics_engine = "requests" }', options={"size_mb": "count"}
        ),
        "wrapped": BindingKind(
            "name",
            'NAME = { wrapped = "shop:binding", bindings = { PRICES = { json = [1] } } }',
            options={"entrypoint": "name", "bindings": "bindings"},
        ),
        "hello": BindingKind("text", 'NAME = { hello = "greeting" }'),
    }
)

NOT_YET = frozenset({"workflow"})
"""Kinds of the design that this version does not have: the error says so instead of guessing at a typing
mistake.
"""
