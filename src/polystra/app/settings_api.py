"""Settings: the control API and the page that it serves.

What lives here: the fields of that section. What must not: checks between settings (`settings`).
"""

from __future__ import annotations

from polystra.app.setting_rules import API, HOST, HOSTS, PATH_OR_NONE, PORT, TOKEN, YES_NO
from polystra.app.setting_values import Flag, HostNames, ListenHost, OptionalFile, Port, Token, setting
from polystra.app.settings_alerts import AlertSettings


class ApiSettings(AlertSettings):
    """Where the server listens, who may act."""

    enable_api: Flag = setting("YES", API, "serve the dashboard and the control API while the daemon runs", YES_NO)
    api_host: ListenHost = setting(
        "127.0.0.1", API, "the address to listen on; anything but 127.0.0.1 shows the account to the network", HOST
    )
    api_port: Port = setting("8787", API, "its port; 0 picks a free one, named in DATA_DIR/api-{mode}.json", PORT)
    api_token: Token = setting(
        "", API, "what stop, start, forceexit and every other action must show; empty: no action is taken", TOKEN
    )
    api_allowed_hosts: HostNames = setting(
        "", API, "further names by which a browser may call the server, as behind a reverse proxy", HOSTS
    )
    hooks_file: OptionalFile = setting(
        "", API, "who may send signals to POST /hooks/NAME/PATH_SECRET, see docs/hooks.md; empty: nobody", PATH_OR_NONE
    )
