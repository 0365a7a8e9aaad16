"""Every action that was asked for: one line of the log, one row of the audit, whatever came of it.

What lives here: the record of one request to act. What must not: the decision. Rows stand beside the requests to the
venue (`polystra audit`), with the path of this server; bodies are short and pass the redaction. A flood of wrong
tokens is told once a minute, not each of its drops.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from aiohttp import web

from polystra.app.web.actions import Done
from polystra.app.web.guard import Guard
from polystra.app.web.refusal import Refused
from polystra.app.web.site import Site
from polystra.ports.audit import ApiCall
from polystra.ports.logbook import LogEvent

_LONGEST: Final = 1_000
_OUTCOMES: Final = {200: "ok", 400: "misshapen", 401: "wrong token", 403: "refused", 409: "not done", 429: "flood"}


class Record:
    """What is told of one request to act."""

    def __init__(self, client: str) -> None:
        self.client = client
        self.body = b""
        self.sentence = ""

    def done(self, answer: object) -> None:
        """It was carried out."""
        self.sentence = answer.done if isinstance(answer, Done) else str(answer)


@contextmanager
def auditing(site: Site, guard: Guard, request: web.BaseRequest, client: str) -> Iterator[Record]:
    """Record what comes of the block: done, or refused."""
    record, began_ns = Record(client), site.real.monotonic_ns()
    try:
        yield record
    except Refused as refused:
        if refused.status != HTTPStatus.TOO_MANY_REQUESTS or guard.tells_flood():
            record.sentence = refused.sentence
            _tell(site, request, record, status=refused.status, took_ns=site.real.monotonic_ns() - began_ns)
        raise
    _tell(site, request, record, status=HTTPStatus.OK, took_ns=site.real.monotonic_ns() - began_ns)


def _tell(site: Site, request: web.BaseRequest, record: Record, *, status: int, took_ns: int) -> None:
    asked = site.clean(record.body[:_LONGEST].decode("utf-8", "replace"))
    outcome = _OUTCOMES.get(status, "refused")
    site.audit.record(
        ApiCall(
            at_ns=site.clock.now_ns(),
            method=request.method,
            path=request.path,
            latency_ns=took_ns,
            status=status,
            request=json.dumps({"client": record.client, "body": asked}),
            reply=record.sentence,
            outcome=outcome,
        )
    )
    is_token = status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)
    event = LogEvent.API_REFUSED if is_token else LogEvent.API_ACTED
    tell = site.log.info if status == HTTPStatus.OK else site.log.warning
    tell(event, action=request.path.rsplit("/", 1)[-1], client=record.client, status=status, outcome=record.sentence)
