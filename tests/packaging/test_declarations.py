"""What `pyworkerd types` says of the SDKs is what they have."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from pyworkerd.declaring import ASSETS, TYPES
from pyworkerd_config.kinds import BINDING_KINDS

from tests.packaging.tree import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterable

GUEST = PACKAGES["pyworkerd_isolates"] / "python/guest"
STUB = (PACKAGES["pyworkerd"] / "declarations/workers.pyi").read_text()
SCRIPT = (PACKAGES["pyworkerd"] / "declarations/runtime.d.ts").read_text()
ONLY_TYPES = {
    "AlarmInvocationInfo", "AnalyticsEngineDataset", "Cache", "CacheStorage", "D1Database", "D1DatabaseSession",
    "D1PreparedStatement", "DurableObjectNamespace", "DurableObjectState", "DurableObjectStorage",
    "DurableObjectStub", "DurableObjectTransaction", "Fetcher", "Hello", "KVNamespace", "MessageBatch", "Queue",
    "QueueMessage", "R2Bucket", "R2MultipartUpload", "R2Object", "R2ObjectBody", "RateLimit", "ScheduledController",
    "SqlStorage", "SqlStorageCursor", "SyncKvStorage", "TestController", "WorkerLoader", "WorkerStub",
}  # fmt: skip
"""Names that a worker can annotate with, and not import when it runs."""
UNSAID = {"BodyStream": {"of"}, "FormData": {"items", "keys", "to_multipart", "values"}}
"""Methods that only the SDK itself calls, or that a base outside of it has."""
INSTANCES = {"env", "caches"}


def test_every_kind_of_binding_has_its_types() -> None:
    assert set(TYPES) == set(BINDING_KINDS)
    for python, typescript in (*TYPES.values(), ASSETS):
        assert python in {"str", "bytes", "Any"} or f"class {python}" in STUB
        assert typescript in {"string", "any", "Uint8Array"} or re.search(
            rf"(interface|class) {typescript}\b", SCRIPT
        )


def classes(trees: Iterable[ast.Module]) -> dict[str, set[str]]:
    """Public methods and properties of classes, with what they have from bases of the same files."""
    own: dict[str, set[str]] = {}
    bases: dict[str, list[str]] = {}
    for tree in trees:
        for each in tree.body:
            if isinstance(each, ast.ClassDef):
                names: set[str] = set()
                for node in each.body:
                    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                        names.add(node.name)
                    elif isinstance(node, ast.Assign):
                        names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
                    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                        names.add(node.target.id)
                own[each.name] = {name for name in names if not name.startswith("_")}
                bases[each.name] = [base.id for base in each.bases if isinstance(base, ast.Name)]

    def whole(name: str) -> set[str]:
        return own[name].union(*(whole(base) for base in bases[name] if base in own))

    return {name: whole(name) for name in own}


def test_the_stub_has_every_name_of_the_sdk_and_every_method() -> None:
    sources = {path.stem: ast.parse(path.read_text()) for path in (GUEST / "workers").glob("*.py")}
    stub = ast.parse(STUB)
    exported = next(
        ast.literal_eval(node.value)
        for node in sources["__init__"].body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    named = {
        n.name for n in stub.body if isinstance(n, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    named |= {
        n.target.id for n in stub.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
    }
    assert set(exported) <= named | INSTANCES
    assert {name for name in named - set(exported) if not name.startswith("_")} == ONLY_TYPES
    queue = sources.pop("queue")  # its messages have a name that bodies have as well
    told = classes([stub])
    own = {**classes(sources.values()), **classes([queue])}
    missing = {
        name: methods - told[name] - UNSAID.get(name, set())
        for name, methods in own.items()
        if name in told and name != "Message"
    }
    assert {name: methods for name, methods in missing.items() if methods} == {}
    assert classes([queue])["Message"] <= told["QueueMessage"]
