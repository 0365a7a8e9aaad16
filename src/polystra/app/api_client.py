"""The running daemon's control API as commands use it: found by its address file, left where it does not answer.

What lives here: finding, asking, reading an answer back into a command's own type. What must not: what commands
show. An answer of the API and the database's are the same figures; where no API answers, commands read the database
(read-only) and leave command files. The token is sent to nobody but the daemon that holds this account's lock.
"""

from __future__ import annotations

import http.client
import json
import re
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
import typer

from polystra.adapters.store.account_reading import is_in_use
from polystra.app.api_address import AddressFile
from polystra.app.book_reading import database_url
from polystra.app.settings import Settings
from polystra.app.worlds import database_path
from polystra.domain.errors import ConfigError, StoreError

T = TypeVar("T")
FROM_API: Final = "the running daemon's API"
FROM_DATABASE: Final = "the database"
_TIMEOUT_S: Final = 10.0
_ACT_TIMEOUT_S: Final = 90.0
_ISO: Final = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2}\.\d{3})Z")
_AWAY: Final = (OSError, http.client.HTTPException, ValueError)


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What the daemon answered: a body, or the one sentence of a refusal."""

    status: int
    body: Any

    @property
    def refusal(self) -> str:
        """Why not, empty when it was done."""
        if self.status < http.HTTPStatus.BAD_REQUEST:
            return ""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return str(error or f"the daemon answered HTTP {self.status}")


class Items(msgspec.Struct, Generic[T], frozen=True):
    """A page of the API."""

    items: tuple[T, ...]


class DaemonApi:
    """The API at one address; see `find`."""

    def __init__(self, url: str, token: str) -> None:
        self.url: Final = url
        self._token = token

    @property
    def may_act(self) -> bool:
        """True when the token is known here."""
        return bool(self._token)

    def read(self, path: str, **query: object) -> Any:  # noqa: ANN401 -- JSON
        """An answer's body with times as commands tell them; None when the API does not answer, or not so."""
        try:
            answer = self._ask("GET", path, query, None)
        except _AWAY:
            return None
        return None if answer.refusal else _as_commands(answer.body)

    def act(self, path: str, body: dict[str, object]) -> ApiAnswer | None:
        """Have something done; None when the API could not be reached, so that nothing was asked of it.

        Raises:
            ConfigError: the request left and no answer came: it may have been carried out.
        """
        try:
            return self._ask("POST", path, {}, body)
        except ConnectionRefusedError:
            return None
        except _AWAY as error:
            raise ConfigError(
                f"the daemon at {self.url} took the request and did not answer ({type(error).__name__}): it may have "
                "been carried out, see polystra status"
            ) from error

    def _ask(self, method: str, path: str, query: dict[str, object], body: dict[str, object] | None) -> ApiAnswer:
        parts = urlsplit(self.url)
        timeout = _TIMEOUT_S if body is None else _ACT_TIMEOUT_S
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
        headers = {"Accept": "application/json"}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        try:
            target = f"/api/v1{path}" + (f"?{urlencode(query)}" if query else "")
            connection.request(method, target, body=None if body is None else json.dumps(body), headers=headers)
            reply = connection.getresponse()
            return ApiAnswer(reply.status, json.loads(reply.read()))
        finally:
            connection.close()


def find(settings: Settings) -> DaemonApi | None:
    """The API of the daemon that runs on this account, None when there is none."""
    url = AddressFile(settings.data_dir, settings.mode.value).read()
    path = database_path(settings)
    if url is None or (path is not None and not path.exists()):
        return None
    try:
        if not is_in_use(database_url(settings)):
            return None
    except StoreError:
        return None
    return DaemonApi(url, settings.api_token.get_secret_value())


def asked(settings: Settings, kind: type[T], path: str, **query: object) -> T | None:
    """A route's answer as a command's own type; None when there is no API, or it answers something else."""
    api = find(settings)
    told = None if api is None else api.read(path, **query)
    if told is None:
        return None
    try:
        return msgspec.convert(told, kind)
    except msgspec.ValidationError:
        return None  # a daemon of another version


def say_source(source: str, *, as_json: bool) -> None:
    """Tell people where the figures come from; what machines read stays as it is."""
    if not as_json:
        typer.echo(f"Source: {source}.")


def _as_commands(told: Any) -> Any:  # noqa: ANN401 -- JSON
    """The same JSON with the server's times as commands tell times."""
    if isinstance(told, dict):
        return {name: _as_commands(value) for name, value in told.items()}
    if isinstance(told, list):
        return [_as_commands(each) for each in told]
    found = _ISO.fullmatch(told) if isinstance(told, str) else None
    return f"{found[1]} {found[2]}" if found else told
