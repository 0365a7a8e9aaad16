"""The web application: routes, page and probes behind one guard, with one way of saying no.

What lives here: how a declared route becomes an HTTP handler, the headers of every answer, the static files. What
must not: what a route answers. The policy of the page lets nothing leave the machine: scripts, styles and
connections are the server's own, so a page needs files of its own beside `static/index.html` and nothing inline.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from polystra.app.web import probes
from polystra.app.web.auditing import Record, auditing
from polystra.app.web.guard import Guard, check_json, read_text
from polystra.app.web.openapi import document
from polystra.app.web.refusal import ErrorAnswer, Refused
from polystra.app.web.route import Ask, Route, read_body, read_parameters
from polystra.app.web.routes import BASE, ROUTES
from polystra.app.web.site import Site
from polystra.app.web.stream import Hub, StreamQuery

if TYPE_CHECKING:  # slow to import, and needed by nobody but the web thread
    from polystra.app.web.metrics import Metrics

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
STATIC: Final = Path(__file__).parent / "static"
LONGEST_BODY: Final = 65_536
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
_Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(site: Site, guard: Guard, hub: Hub) -> web.Application:
    """Build the application. Other modules that serve something are mounted here."""
    app = web.Application(client_max_size=LONGEST_BODY, middlewares=[_answering(guard)])
    app.on_response_prepare.append(_add_headers)
    for route in ROUTES:
        app.router.add_route(route.method, f"{BASE}{route.path}", _handle(route, site, guard))
    app.router.add_get(f"{BASE}/events", _events(hub), allow_head=False)
    app.router.add_get(f"{BASE}/openapi.json", _document(site.version))
    app.router.add_get("/livez", _probe(lambda: probes.liveness(site)))
    app.router.add_get("/readyz", _probe(lambda: _ready(site)))
    metrics: Metrics = import_module("polystra.app.web.metrics").Metrics(site)
    hub.counts(metrics.note)
    app.router.add_get("/metrics", _metrics(metrics))
    for path in sorted(STATIC.iterdir()):
        if path.suffix in _TYPES:
            app.router.add_get("/" if path.name == "index.html" else f"/{path.name}", _file(path))
    return app


# --- inside ---------------------------------------------------------------------------


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    del response.headers["Server"]


def _answering(guard: Guard) -> Middleware:
    @web.middleware
    async def answer(request: web.Request, handler: _Handle) -> web.StreamResponse:
        try:
            guard.check_place(request)
            return await handler(request)
        except Refused as refused:
            return refusal(refused)
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            response = refusal(Refused(error.status, _words(error, request)))
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
            return response

    return answer


def _words(error: web.HTTPException, request: web.Request) -> str:
    match error.status:
        case HTTPStatus.NOT_FOUND:
            return f"there is nothing here: {BASE}/openapi.json lists what there is"
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return f"{request.method} is not what this takes: it takes {error.headers.get('Allow', 'GET')}"
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return f"the body is longer than {LONGEST_BODY} bytes: send less"
        case _:
            return f"the request cannot be read: {error.reason}"


def refusal(refused: Refused) -> web.Response:
    """A refusal as an answer."""
    response = json_response(ErrorAnswer(error=refused.sentence), status=refused.status)
    if refused.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="polystra"'
    if refused.status == HTTPStatus.TOO_MANY_REQUESTS:
        response.headers["Retry-After"] = str(refused.after_s)
    return response


def json_response(what: object, *, status: int = 200) -> web.Response:
    """An answer in JSON."""
    return web.Response(body=msgspec.json.encode(what), status=status, content_type="application/json")


def client_of(request: web.BaseRequest) -> str:
    """The address that asks; a proxy's own when there is one."""
    return request.remote or "unknown"


def _handle(route: Route, site: Site, guard: Guard) -> _Handle:
    async def handle(request: web.Request) -> web.StreamResponse:
        if not route.acts:
            return json_response(await route.handler(site, await _ask(route, request)))
        with auditing(site, guard, request, client_of(request)) as record:
            guard.check_actor(request, client_of(request))
            check_json(request)
            ask = await _ask(route, request, record)
            answer = await route.handler(site, ask)
            record.done(answer)
        return json_response(answer)

    return handle


async def _ask(route: Route, request: web.Request, record: Record | None = None) -> Ask:
    text = b"" if route.body is None else await read_text(request)
    if record is not None:
        record.body = text
    return Ask(
        query=read_parameters(route.query, list(request.query.items())),
        place=read_parameters(route.place, list(request.match_info.items())),
        body=None if route.body is None else read_body(route.body, text),
        client=client_of(request),
    )


def _events(hub: Hub) -> _Handle:
    async def handle(request: web.Request) -> web.StreamResponse:
        query = read_parameters(StreamQuery, list(request.query.items()))
        return await hub.serve(request, msgspec.convert(query, StreamQuery))

    return handle


def _document(version: str) -> _Handle:
    body = msgspec.json.encode(document(version))

    async def handle(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    return handle


def _ready(site: Site) -> probes.Probe:
    problems = probes.readiness(site)
    return probes.Probe(ok=not problems, problems=problems)


def _probe(look: Callable[[], probes.Probe]) -> _Handle:
    async def handle(_request: web.Request) -> web.StreamResponse:
        probe = look()
        return json_response(probe, status=HTTPStatus.OK if probe.ok else HTTPStatus.SERVICE_UNAVAILABLE)

    return handle


def _metrics(metrics: Metrics) -> _Handle:
    async def handle(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=metrics.render(), headers={"Content-Type": METRICS_TYPE})

    return handle


def _file(path: Path) -> _Handle:
    """A file of the page, read once: there are few and they are small."""
    body = path.read_bytes()
    kind = _TYPES[path.suffix]

    async def handle(_request: web.Request) -> web.StreamResponse:
        charset = None if kind.startswith("image/") else "utf-8"
        return web.Response(body=body, content_type=kind, charset=charset)

    return handle
