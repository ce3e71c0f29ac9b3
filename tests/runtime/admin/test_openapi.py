"""The document of the API: complete, and true of a real address."""

from __future__ import annotations

import json

from pyworkerd.admin.openapi import document
from pyworkerd.admin.table import ROUTES

DOCUMENT = json.loads(json.dumps(document(ROUTES, "1.2.3")))


def test_every_row_is_in_it() -> None:
    found = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert found == {(route.method, f"/api/v1{route.path}") for route in ROUTES}
    assert len(found) == len(ROUTES)
    assert DOCUMENT["info"]["version"] == "1.2.3"


def test_operations_have_names_of_their_own() -> None:
    names = [each["operationId"] for methods in DOCUMENT["paths"].values() for each in methods.values()]
    assert len(set(names)) == len(names)


def test_every_schema_that_is_named_is_there() -> None:
    text = json.dumps(DOCUMENT)
    for name in DOCUMENT["components"]["schemas"]:
        text = text.replace(f'"#/components/schemas/{name}"', '"found"')
    assert "#/components/schemas/" not in text


def test_a_session_can_be_begun_without_a_token() -> None:
    methods = DOCUMENT["paths"]["/api/v1/session"]
    assert methods["post"]["security"] == []
    assert "security" not in methods["get"]
    assert methods["post"]["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/LogIn"
    }
    assert DOCUMENT["security"] == [{"token": []}]
