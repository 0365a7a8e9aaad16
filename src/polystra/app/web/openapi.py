"""The OpenAPI 3.1 document, generated from the table of routes: parameters, bodies and answers are their types.

What lives here: the layout of the document. What must not: anything about a route that its declaration does not say;
what is served beside the table (probes, the stream, the page) is described here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from polystra.app.web.probes import Probe
from polystra.app.web.refusal import ErrorAnswer
from polystra.app.web.route import Route
from polystra.app.web.routes import BASE, ROUTES
from polystra.app.web.stream import FactLine, StreamQuery

_REF: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"
_SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"header": []}]
_SENTENCES: Final[Mapping[int, str]] = {
    400: "A parameter or the body does not fit.",
    401: "The token is missing or wrong.",
    403: "The request names another server or comes from another page; or no token is set.",
    404: "There is no such thing.",
    409: "It cannot be done as things stand.",
    413: "The body is too long.",
    415: "The body is not application/json.",
    429: "Too many wrong tokens, actions or watchers.",
    503: "The daemon is starting, or its database does not answer.",
}
_DESCRIPTION: Final = (
    "Reading needs no token, actions do. Money, shares and prices are decimal text, times ISO 8601 in UTC on the run's "
    "clock. Lists are newest first; `next_before`, given back as `before`, continues one. A refusal is one sentence in "
    "`error`."
)


def document(version: str, routes: Iterable[Route] = ROUTES) -> dict[str, Any]:
    """The document of these routes and of what is served beside them."""
    table = tuple(routes)
    kinds = [each for route in table for each in (route.answer, route.body) if each is not None]
    _, components = msgspec.json.schema_components([*kinds, ErrorAnswer, Probe, FactLine], ref_template=_REF)
    paths: dict[str, Any] = {}
    for route in table:
        paths.setdefault(f"{BASE}{route.path}", {})[route.method.lower()] = _operation(route)
    paths |= _beside()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Polystra control API",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "API_TOKEN"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Token", "description": "API_TOKEN"},
            },
        },
    }


# --- inside ---------------------------------------------------------------------------


def _operation(route: Route) -> dict[str, Any]:
    refusals = {400: "", 403: ""} | dict(route.refusals)
    if route.acts:
        refusals |= {401: "", 413: "", 415: "", 429: ""}
    if route.path != "/ping":
        refusals[503] = ""
    told: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "parameters": [*_parameters(route.place, "path"), *_parameters(route.query, "query")],
        "responses": {"200": _answer("Done." if route.acts else "As asked.", _schema(route.answer))}
        | {str(status): _refusal(status, refusals[status]) for status in sorted(refusals)},
    }
    if route.acts:
        told["security"] = _SECURITY
    if route.body is not None:
        told["requestBody"] = {"required": True, "content": {_JSON: {"schema": _schema(route.body)}}}
    return told


def _operation_id(route: Route) -> str:
    words = [re.sub(r"\W", "", part) for part in route.path.split("/") if part]
    return "_".join([route.method.lower(), *words])


def _schema(kind: Any) -> dict[str, Any]:  # noqa: ANN401 -- any type that msgspec knows
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return schema


def _parameters(kind: type[msgspec.Struct], place: str) -> list[dict[str, Any]]:
    """The fields of a struct as parameters, with their bounds."""
    told = []
    for each in msgspec.structs.fields(kind):
        schema = _schema(each.type)
        description = schema.pop("description", "")
        kinds = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
        if len(kinds) == 1:
            schema = kinds[0]  # a parameter that may be left out is never sent as null
        if each.default is not msgspec.NODEFAULT and each.default is not None:
            schema["default"] = each.default
        told.append(
            {"name": each.name, "in": place, "required": each.required, "description": description, "schema": schema}
        )
    return told


def _answer(description: str, schema: Mapping[str, Any], media: str = _JSON) -> dict[str, Any]:
    return {"description": description, "content": {media: {"schema": schema}}}


def _refusal(status: int, when: str) -> dict[str, Any]:
    words = f"{when[0].upper()}{when[1:]}." if when else _SENTENCES[status]
    return _answer(words, _schema(ErrorAnswer))


def _beside() -> dict[str, Any]:
    """The stream, the probes and the document itself."""
    stream = _answer(
        "Events `snapshot` (a Snapshot), `fact` (a FactLine) and `log` (a line), for ever.",
        {"type": "string"},
        "text/event-stream",
    )
    refusals = {str(status): _refusal(status, "") for status in (400, 403, 429)}
    events = {
        "operationId": "get_events",
        "summary": "Server-sent events",
        "parameters": _parameters(StreamQuery, "query"),
        "responses": {"200": stream, **refusals},
    }
    own = {
        "operationId": "get_openapi",
        "summary": "This document",
        "responses": {"200": _answer("OpenAPI 3.1.", {"type": "object"}), "403": _refusal(403, "")},
    }
    return {
        f"{BASE}/events": {"get": events},
        f"{BASE}/openapi.json": {"get": own},
        "/livez": {"get": _probe("get_livez", "Whether the engine's loop works")},
        "/readyz": {"get": _probe("get_readyz", "Whether the daemon may trade")},
    }


def _probe(name: str, summary: str) -> dict[str, Any]:
    schema = _schema(Probe)
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": _answer("All is well.", schema),
            "403": _refusal(403, ""),
            "503": _answer("What is wrong.", schema),
        },
    }
