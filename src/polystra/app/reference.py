"""Writes the reference pages from the code: `python -m polystra.app.reference [--check] [FOLDER]`.

What lives here: the layout of `docs/settings.md` and `docs/commands.md`. What must not: names, defaults, texts: they
stand with the settings, the commands and the exit codes. A page is never edited by hand; `--check` says (exit code
1) when one is not what the code says.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

from polystra.app.cli import app
from polystra.app.failures import EXIT_CODES
from polystra.app.setting_secrets import SECRETS
from polystra.app.settings import Settings, default_text, note
from polystra.app.settings_reload import is_reloaded
from polystra.app.web.metric_table import METRICS, PREFIX

_MADE: Final = "This page is generated from the code (`make reference`)."
_SETTINGS_HEAD: Final = f"""# Settings

{_MADE} `.env.example` has the same names and defaults for
editing; `polystra show_config` shows what holds and where it comes from. An empty value means the default; booleans
take YES/NO, true/false, 1/0; the environment wins over `.env`; a name that is not known is an error.

The last column says what a change needs. *reload*: `polystra reload_config` (or SIGHUP to the daemon) takes it while
trading goes on, and says what changed. *restart*: a reload that finds such a change is refused as a whole, names it,
and changes nothing. A reload of a file that cannot be read or holds an impossible value changes nothing either.
"""
_METRICS_HEAD: Final = f"""# Metrics

{_MADE} The daemon serves them for Prometheus at `/metrics` beside its page
(`API_HOST`, `API_PORT`; no token), from a thread that does not trade.

Counters count since the daemon's start. Latencies are seconds of the run's clock (in `sim` simulated ones), ages of
loop and streams seconds of the machine's. Dollars are floats here, for plots and alarms; exact figures are
`polystra report`'s. `deploy/prometheus` has a scrape configuration and alert rules, `deploy/grafana/polystra.json` a
board to import.
"""
_COMMANDS_HEAD: Final = f"""# Commands

{_MADE} `polystra COMMAND --help` says the same.

Commands take their settings from `.env` in the folder they are started in, and from the environment. `--json` is for
machines: amounts are decimal text, times UTC. What goes wrong is one line on stderr.

`profit`, `daily`, `trades` and `balance` ask the running daemon's control API (`DATA_DIR/api-{{mode}}.json` names it)
and read the database where it does not answer; the last line names the source. `stop`, `start`, `stopentry`, `pause`,
`forceexit`, `forceenter` and `reload_config` go by the API where `API_TOKEN` is set for the command too, else by a file
in `DATA_DIR` that the daemon takes up within a second; without a daemon the switches are written for the next one. The
other commands that show something read the database, also while the daemon runs.
"""


def settings_page() -> str:
    """The text of `docs/settings.md`."""
    lines = [_SETTINGS_HEAD]
    section = ""
    for field in Settings.model_fields:
        name = field.upper()
        about = note(name)
        if about.section != section:
            section = about.section
            lines += [f"## {section}", "", "| setting | default | meaning | values | a change needs |"]
            lines += ["|---|---|---|---|---|"]
        also = f" Also `{name}_FILE`, the path of a file that holds it." if name in SECRETS else ""
        need = "reload" if is_reloaded(field) else "restart"
        default = f"`{default_text(name)}`" if default_text(name) else "empty"
        lines.append(f"| `{name}` | {default} | {_cell(about.text)}.{also} | {_cell(about.rule)} | {need} |")
        if _is_last(field, section):
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def commands_page() -> str:
    """The text of `docs/commands.md`."""
    lines = [_COMMANDS_HEAD, "| exit code | meaning |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    for words, command in _commands(typer.main.get_command(app), ("polystra",)):
        lines += ["", f"## {' '.join(words[1:])}", "", str(command.help or "").strip().replace("\n\n", "\n"), ""]
        context = typer.Context(command, info_name=" ".join(words))
        lines += ["```", " ".join(command.get_usage(context).split()).removeprefix("Usage: "), "```"]
        rows = [_parameter(param) for param in command.params if param.name != "help"]
        if rows:
            lines += ["", "| option or argument | meaning | default |", "|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """The text of `docs/metrics.md`."""
    rows = []
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{PREFIX}{metric.name}` | {metric.kind} | {labels} | {_cell(metric.meaning)} |")
    return "\n".join([_METRICS_HEAD, "| metric | kind | labels | meaning |", "|---|---|---|---|", *rows]) + "\n"


PAGES: Final = {"settings.md": settings_page, "commands.md": commands_page, "metrics.md": metrics_page}


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` say which are not current (exit code 1)."""
    check = "--check" in arguments
    rest = [word for word in arguments if word != "--check"]
    folder = Path(rest[0] if rest else "docs")
    stale = []
    for name, text in ((name, make()) for name, make in PAGES.items()):
        path = folder / name
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path))
    if stale:
        words = "not what the code says; run make reference (python -m polystra.app.reference docs) and commit it"
        sys.stderr.write(f"{', '.join(stale)}: {words}\n")
    return 1 if stale else 0


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 -- typer's
    """Every command below a group with its words, in the order of their names."""
    for name, each in sorted(command.commands.items()):
        if hasattr(each, "commands"):
            yield from _commands(each, (*words, name))
        elif not each.hidden:
            yield (*words, name), each


def _parameter(param: Any) -> str:  # noqa: ANN401 -- typer's
    names = ", ".join(f"`{name}`" for name in (*param.opts, *param.secondary_opts))
    if param.param_type_name == "argument":
        names = f"`{_cell(param.metavar or str(param.name).upper())}`"
    default = "" if param.default in (None, False, "") or callable(param.default) else f"`{param.default}`"
    return f"| {names} | {_cell(str(getattr(param, 'help', '') or ''))} | {default} |"


def _is_last(field: str, section: str) -> bool:
    names = list(Settings.model_fields)
    place = names.index(field) + 1
    return place < len(names) and note(names[place].upper()).section != section


def _cell(text: str) -> str:
    return text.replace("|", "\\|").strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
