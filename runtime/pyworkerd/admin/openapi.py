"""The OpenAPI document, made of the table of routes. Pure. Of version 3.1, whose schemas are JSON Schema as it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from .api import JSON, PROBLEM, ROOT, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .api import Route

_REFERENCE: Final = "#/components/schemas/{name}"
_NAMES: Final = re.compile(r"\{([a-z]+)\}")
_OF_ALL: Final = {
    400: "the request is not what it has to be",
    401: "there is no token, or a wrong one",
    403: "the API is off here",
    413: "the body is too long",
    429: "too many wrong tokens came from this address",
}
_WITH_BODY: Final = {415: "the body is of another media type"}
_OF_SOME: Final = {
    404: "there is no such thing",
    408: "it took too long to arrive, and nothing has changed",
    409: "it cannot be done as things stand",
    422: "what was uploaded does not work, and nothing has changed",
    502: "no serving process could do it",
    503: "too much is under way: try again",
    507: "the disk is full, and nothing has changed",
}


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    types = [Problem, *{kind: None for each in routes for kind in _types(each)}]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    by_type = dict(zip(map(id, types), schemas, strict=True))
    for route in routes:
        paths.setdefault(f"{ROOT}{route.path}", {})[route.method.lower()] = _operation(
            route, by_type, components
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": "pyworkerd admin", "version": version},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _types(route: Route) -> list[Any]:
    return [
        kind
        for kind in (route.answer, route.query, route.body)
        if kind is not None and not isinstance(kind, str)
    ]


def _operation(route: Route, by_type: dict[int, Any], components: dict[str, Any]) -> dict[str, Any]:
    name = "_".join([route.method.lower(), *re.findall(r"[a-z.]+", route.path)]).replace(".", "_")
    found: dict[str, Any] = {
        "operationId": name,
        "summary": route.summary,
        "responses": _responses(route, by_type),
    }
    parameters = [
        {"name": each, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for each in _NAMES.findall(route.path)
    ]
    if route.query is not None:
        schema = components[route.query.__name__]
        parameters += [
            {"name": key, "in": "query", "required": key in schema.get("required", ()), "schema": value}
            for key, value in schema["properties"].items()
        ]
    if parameters:
        found["parameters"] = parameters
    if route.body is not None:
        media = route.body if isinstance(route.body, str) else JSON
        schema = (
            {"type": "string", "format": "binary"} if isinstance(route.body, str) else by_type[id(route.body)]
        )
        found["requestBody"] = {"required": True, "content": {media: {"schema": schema}}}
    if route.open:
        found["security"] = []
    return found


def _responses(route: Route, by_type: dict[int, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": route.summary}
    if isinstance(route.answer, str):
        good["content"] = {route.answer: {}}
    elif route.answer is not None:
        good["content"] = {JSON: {"schema": by_type[id(route.answer)]}}
    if route.headers:
        good["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in route.headers.items()
        }
    said = _OF_ALL | (_WITH_BODY if route.body is not None else {}) | {s: _OF_SOME[s] for s in route.errors}
    wrong = {
        str(status): {"description": text, "content": {PROBLEM: {"schema": by_type[id(Problem)]}}}
        for status, text in sorted(said.items())
    }
    return {"200" if route.answer is not None else "204": good, **wrong}
