"""What a Wrangler file may say, as data: keys and their values, and those that mean nothing here, each with a reason.

Source: the keys of Wrangler 4 (workers-utils, config/environment.ts).
"""

from __future__ import annotations

from typing import Any, Final

from pyworkerd_config import decode
from pyworkerd_config.decode import Cursor, Field, Table, list_of
from pyworkerd_config.toml.reader import RATE_LIMIT as IN_TOML
from pyworkerd_config.toml.reader import global_outbound

_TEXTS: Final = list_of(decode.name, "a list of texts")
_CLOUD: Final = "it is about Cloudflare's own network"
_BUILD: Final = "programs are run as they are written, without a bundler"
_SERVICE: Final = "there is no such service here, and the binding is missing on env"

NOT_HERE: Final = {
    "account_id": _CLOUD,
    "workers_dev": _CLOUD,
    "preview_urls": _CLOUD,
    "placement": _CLOUD,
    "logpush": "read the server's own log, or give the worker a tail worker",
    "send_metrics": "nothing is sent to anybody",
    "keep_vars": "there is no dashboard that could have other values",
    "observability": "logs and metrics are always there",
    "compliance_region": _CLOUD,
    "first_party_worker": _CLOUD,
    "access": _CLOUD,
    "cache": "the Cache API is always there",
    "streaming_tail_consumers": "write tail_consumers",
    "upload_source_maps": "stacks have the lines of the sources without that",
    "no_bundle": _BUILD,
    "find_additional_modules": _BUILD,
    "base_dir": _BUILD,
    "preserve_file_names": _BUILD,
    "rules": "a file's suffix says what it is: see docs/javascript.md",
    "build": "run it before you start the server",
    "define": _BUILD,
    "alias": _BUILD,
    "tsconfig": "types are left out and not checked",
    "jsx_factory": _BUILD,
    "jsx_fragment": _BUILD,
    "minify": _BUILD,
    "keep_names": _BUILD,
    "python_modules": "files that do not belong to a worker: put them outside of its folder",
    "site": "write assets",
    "pages_build_output_dir": "write assets",
    "wasm_modules": "import them",
    "text_blobs": "import them",
    "data_blobs": "import them",
    "migrations": "storage of a class begins with its first object; a class that was renamed begins anew",
    "exports": "storage of a class begins with its first object",
    "workflows": _SERVICE,
    "hyperdrive": _SERVICE,
    "version_metadata": _SERVICE,
    "dispatch_namespaces": _SERVICE,
    "mtls_certificates": _SERVICE,
    "secrets_store_secrets": _SERVICE,
    "send_email": _SERVICE,
    "vectorize": _SERVICE,
    "ai": _SERVICE,
    "ai_search": _SERVICE,
    "browser": _SERVICE,
    "images": _SERVICE,
    "media": _SERVICE,
    "pipelines": _SERVICE,
    "containers": _SERVICE,
    "cloudchamber": _SERVICE,
    "vpc_services": _SERVICE,
    "connect": "there are no raw TCP handlers here",
    "unsafe": _SERVICE,
    "legacy_env": "an environment is a worker of its own",
}
"""Keys of the file and of its environments that are read over, with a warning that gives the reason."""

INHERITED: Final = frozenset(
    (
        "name", "main", "compatibility_date", "compatibility_flags", "route", "routes", "triggers", "assets", "limits",
        "pyworkerd",
        *(key for key, why in NOT_HERE.items() if why is not _SERVICE),
    )
)  # fmt: skip
"""Keys that an environment has from the top of the file, unless it has its own. Others have to be repeated."""
ONLY_AT_THE_TOP: Final = frozenset(("env", "dev", "$schema"))


def anything(value: Any, _cursor: Cursor, _field: Field) -> Any:
    """Whatever it is: it is looked at later."""
    return value


def rows(what: str, *fields: Field, optional: tuple[str, ...] = ()) -> Table:
    """The keys of one entry of a list of bindings, all needed but those that are optional."""
    return Table(what, tuple(
        Field(each.key, each.read, each.example, required=each.key not in optional) for each in fields
    ))  # fmt: skip


_OUTBOUND: Final = Field("global_outbound", global_outbound, "global_outbound = false")
_BINDING: Final = Field("binding", decode.name, 'binding = "CACHE"')

KV: Final = rows(
    "a KV namespace", _BINDING, Field("id", decode.name, 'id = "cache"'),
    optional=("id",),
)  # fmt: skip
R2: Final = rows(
    "an R2 bucket",
    _BINDING,
    Field("bucket_name", decode.name, 'bucket_name = "files"'),
    optional=("bucket_name",),
)
D1: Final = rows(
    "a D1 database", _BINDING, Field("database_name", decode.name, 'database_name = "shop"'),
    Field("database_id", decode.name, 'database_id = "shop"'),
    Field("migrations_dir", decode.path, 'migrations_dir = "migrations"'),
    optional=("database_name", "database_id", "migrations_dir"),
)  # fmt: skip
PRODUCER: Final = rows(
    "a producer", _BINDING, Field("queue", decode.name, 'queue = "jobs"'),
    Field("delivery_delay", decode.integer, "delivery_delay = 60"), optional=("delivery_delay",),
)  # fmt: skip
CONSUMER_NUMBERS: Final = (
    "max_batch_size", "max_batch_timeout", "max_retries", "max_concurrency", "retry_delay",
)  # fmt: skip
CONSUMER: Final = rows(
    "a consumer", Field("queue", decode.name, 'queue = "jobs"'),
    Field("dead_letter_queue", decode.name, 'dead_letter_queue = "failed"'),
    *(Field(key, decode.integer, f"{key} = 10") for key in CONSUMER_NUMBERS),
    optional=("dead_letter_queue", *CONSUMER_NUMBERS),
)  # fmt: skip
OBJECT: Final = rows(
    "a Durable Object binding", Field("name", decode.name, 'name = "ROOMS"'),
    Field("class_name", decode.name, 'class_name = "Room"'),
    Field("script_name", decode.name, 'script_name = "chat"'), optional=("script_name",),
)  # fmt: skip
SERVICE: Final = rows(
    "a service", _BINDING, Field("service", decode.name, 'service = "auth"'),
    Field("entrypoint", decode.name, 'entrypoint = "Admin"'), Field("props", decode.json_value, "props = {}"),
    Field("name", decode.name, 'name = "auth"'), Field("main", decode.path, 'main = "auth.ts"'),
    Field("route", anything, 'route = "/auth/*"'), Field("routes", anything, 'routes = ["/auth/*"]'),
    Field("bindings", _TEXTS, 'bindings = ["CACHE"]'), _OUTBOUND,
    optional=(
        "binding", "service", "entrypoint", "props", "name", "main", "route", "routes", "bindings", "global_outbound",
    ),
)  # fmt: skip
"""A binding to another worker; or, with `name` and without `binding`, a worker of this file."""
RATE_LIMIT: Final = rows(
    "a rate limit", Field("name", decode.name, 'name = "LIMIT"'), Field("simple", anything, "simple = {}"),
    Field("namespace_id", anything, 'namespace_id = "1001"'), optional=("namespace_id",),
)  # fmt: skip
OURS: Final = rows(
    "pyworkerd's own table", Field("rate_limits", anything, "rate_limits = [{ limit = 100, period = 60 }]"),
    _OUTBOUND, optional=("rate_limits", "global_outbound"),
)  # fmt: skip
INCOMING: Final = rows(
    "a rate limit", Field("service", decode.name, 'service = "auth"'), *IN_TOML.fields,
    optional=("service", "route", "key"),
)  # fmt: skip
"""A rate limit on what comes in, in `[pyworkerd]`."""
SIMPLE: Final = rows(
    "a rate limit", Field("limit", decode.count, "limit = 100"), Field("period", decode.count, "period = 60")
)
ANALYTICS: Final = rows(
    "a dataset", _BINDING, Field("dataset", decode.name, 'dataset = "requests"'), optional=("dataset",)
)
LOADER: Final = rows("a worker loader", _BINDING)
TAIL: Final = rows("a tail worker", Field("service", decode.name, 'service = "watch"'))
TRIGGERS: Final = rows("triggers", Field("crons", _TEXTS, 'crons = ["*/5 * * * *"]'), optional=("crons",))
LIMITS: Final = rows(
    "limits", Field("cpu_ms", decode.integer, "cpu_ms = 50"),
    Field("subrequests", decode.integer, "subrequests = 50"), optional=("cpu_ms", "subrequests"),
)  # fmt: skip
SECRETS: Final = rows("secrets", Field("required", _TEXTS, 'required = ["TOKEN"]'), optional=("required",))
DEV: Final = rows(
    "dev", Field("ip", decode.name, 'ip = "127.0.0.1"'), Field("port", decode.integer, "port = 8787"),
    optional=("ip", "port"),
)  # fmt: skip
ROUTE: Final = rows(
    "a route", Field("pattern", decode.name, 'pattern = "shop.example.com/*"'),
    Field("custom_domain", decode.boolean, "custom_domain = true"), optional=("custom_domain",),
)  # fmt: skip

LISTS: Final = (
    (("kv_namespaces",), KV),
    (("r2_buckets",), R2),
    (("d1_databases",), D1),
    (("queues", "producers"), PRODUCER),
    (("durable_objects", "bindings"), OBJECT),
    (("services",), SERVICE),
    (("analytics_engine_datasets",), ANALYTICS),
    (("worker_loaders",), LOADER),
)
"""Lists of bindings: where they are in the file, and the keys of an entry."""

IDS: Final = frozenset(("id", "bucket_name", "database_name", "database_id", "dataset"))
"""Keys of an entry that say which store of the account it is; without one, it is called as its binding."""

NOT_IN_ROWS: Final = {
    "remote": "everything is on this machine",
    "preview_id": "there is one namespace of each name",
    "preview_bucket_name": "there is one bucket of each name",
    "preview_database_id": "there is one database of each name",
    "jurisdiction": _CLOUD,
    "zone_id": _CLOUD,
    "zone_name": _CLOUD,
    "enabled": _CLOUD,
    "environment": "name the worker in full, with its environment",
    "migrations_table": "applied migrations are kept in d1_migrations",
    "migrations_pattern": "all files of the folder that end in .sql are migrations",
    "local_dev": "there is no S3 API",
    "visibility_timeout_ms": "a batch is its consumer's as long as that runs",
    "type": "consumers are workers",
    "events": _CLOUD,
    "local_protocol": "give the socket a certificate in a config.toml",
    "upstream_protocol": _CLOUD,
    "host": "requests go to where they are sent",
    "inspector_port": "there is no debugger",
    "inspector_ip": "there is no debugger",
    "enable_containers": "there are no containers",
    "container_engine": "there are no containers",
    "generate_types": "`pyworkerd types` writes them",
}
"""The same for keys inside of entries."""
