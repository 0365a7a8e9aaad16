"""How a route is declared: its place, its parameters and its answer as types, from which the document is generated.

What lives here: the declaration and the strict reading of parameters. What must not: what a route answers (the
modules beside), HTTP beyond strings. A parameter is an `Annotated` field of a msgspec struct whose `Meta` has a
description; what does not fit is refused in one sentence that quotes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, get_args, get_type_hints

import msgspec

from polystra.app.web.refusal import Refused
from polystra.app.web.site import Site

_SHOWN: Final = 40
_SENTENCE: Final = 160
_NAME: Final = r"^[!-~]{1,200}$"


class NoParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request without parameters."""


class ById(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `{id}` of a path."""

    id: Annotated[
        str, msgspec.Meta(pattern=_NAME, description="an id or how one begins, up to 200 characters without spaces")
    ]


class Page(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of a list that is newest first."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500, description="a number of items from 1 to 500")] = 50
    before: Annotated[
        Annotated[str, msgspec.Meta(pattern=_NAME)] | None,
        msgspec.Meta(description="the next_before of the page before"),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request as a route sees it; each part is an instance of the type that the route declares."""

    query: Any
    place: Any
    body: Any
    client: str
    """The address that asks."""


Handler = Callable[[Site, Ask], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation. `answer` is the type of the JSON answer; `acts` needs the token and is audited."""

    method: str
    path: str
    summary: str
    handler: Handler
    answer: Any
    query: type[msgspec.Struct] = NoParameters
    place: type[msgspec.Struct] = NoParameters
    body: type[msgspec.Struct] | None = None
    acts: bool = False
    refusals: Mapping[int, str] = field(default_factory=dict)
    """Further statuses that are answered with a sentence, and when."""


def read_parameters(kind: type[msgspec.Struct], given: Sequence[tuple[str, str]]) -> msgspec.Struct:
    """The parameters of a query or a path; raises Refused (400) with one sentence."""
    fields = {each.name: each for each in msgspec.structs.fields(kind)}
    values: dict[str, object] = {}
    for name, text in given:
        if name not in fields:
            takes = f"it takes {', '.join(fields)}" if fields else "it takes none"
            raise Refused(400, f"{shown(name)} is no parameter of this request: {takes}")
        if name in values:
            raise Refused(400, f"{name} is given more than once: give it once")
        try:
            values[name] = msgspec.convert(text, type=fields[name].type, strict=False)
        except msgspec.ValidationError:
            raise Refused(400, f"{name} is {shown(text)}, expected {described(kind, name)}") from None
    missing = [name for name, each in fields.items() if each.required and name not in values]
    if missing:
        raise Refused(400, f"{missing[0]} is missing, expected {described(kind, missing[0])}")
    return kind(**values)


def read_body(kind: type[msgspec.Struct], text: bytes) -> msgspec.Struct:
    """The JSON body; raises Refused (400) with one sentence."""
    try:
        return msgspec.json.decode(text or b"{}", type=kind)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        name = where.rstrip("`").lstrip(".").split(".")[0].split("[")[0]
        known = {each.encode_name: each.name for each in msgspec.structs.fields(kind)}
        if name in known:
            raise Refused(400, f"{name} does not fit, expected {described(kind, known[name])}") from None
        takes = f"it takes {', '.join(known)}" if known else "it takes an empty object"
        raise Refused(400, f"the body does not fit: {printable(problem)}; {takes}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(400, "the body is not JSON: send an object with content-type application/json") from None


def described(kind: type[msgspec.Struct], name: str) -> str:
    """What a parameter may be, in the words of its declaration."""
    hint = get_type_hints(kind, include_extras=True)[name]
    for each in get_args(hint)[1:]:
        if isinstance(each, msgspec.Meta) and each.description:
            return each.description
    raise TypeError(f"{kind.__name__}.{name} is declared without a description")


def printable(text: str) -> str:
    """A text that others wrote, on one line and no longer than a sentence."""
    return "".join(character if character.isprintable() else "?" for character in text[:_SENTENCE])


def shown(text: str) -> str:
    """What was sent, as far as it may be repeated."""
    safe = printable(text[:_SHOWN])
    return repr(safe) if len(text) <= _SHOWN else f"{safe!r}…"
