"""`polystra db`: where the database's schema stands, bringing it up to date, backups and putting them back.

What lives here: the commands and their words. What must not: statements, the schema.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polystra.adapters.store.migrations import current, history, upgrade
from polystra.app.backups import back_up, before_migration, put_back, words_of
from polystra.app.failures import guarded, settings_from_here

database_app = typer.Typer(help="The database: its schema, backups.", no_args_is_help=True)


@database_app.command("current")
def show_current() -> None:
    """Show the revision of the database's schema."""
    settings = settings_from_here(local=True)
    revision = guarded(lambda: current(settings.resolved_database_url.get_secret_value()), settings)
    newest = history()[-1].revision
    if revision is None:
        typer.echo(f"no schema yet; polystra db upgrade brings it to {newest}")
    elif revision == newest:
        typer.echo(f"{revision} (up to date)")
    else:
        typer.echo(f"{revision}; polystra db upgrade brings it to {newest}")


@database_app.command("upgrade")
def bring_up_to_date(
    *, without_backup: Annotated[bool, typer.Option("--no-backup", help="migrate without a backup first")] = False
) -> None:
    """Bring the database to this version's schema, after a backup; makes it when it is missing."""
    settings = settings_from_here(local=True)
    first = before_migration(settings, lambda made: typer.echo(f"backup before the migration: {words_of(made)}"))
    url = settings.resolved_database_url.get_secret_value()
    report = guarded(lambda: upgrade(url, before_it=None if without_backup else first), settings)
    if report.migrated:
        typer.echo(f"migrated from {report.before or 'an empty database'} to {report.after}")
    else:
        typer.echo(f"{report.after} (up to date)")


@database_app.command("history")
def show_history() -> None:
    """List the revisions that this version knows, oldest first."""
    settings = settings_from_here(local=True)
    for revision in guarded(history, settings):
        typer.echo(f"{revision.revision}  {revision.summary}")


@database_app.command("backup")
def backup_now(
    *,
    to: Annotated[
        Path | None, typer.Option(help="the new file; default: a name of its own in DATA_DIR/backups")
    ] = None,
) -> None:
    """Copy the database into one SQLite file, also while a daemon runs; the copy is read back and compared."""
    settings = settings_from_here(local=True)
    typer.echo(words_of(guarded(lambda: back_up(settings, to), settings)))


@database_app.command("restore")
def restore_from(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="what polystra db backup made")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Replace what the database holds by what a backup holds; refused while a daemon uses it."""
    settings = settings_from_here(local=True)
    if not yes:
        typer.confirm(
            "What was traded since the backup is not in it: the next start finds orders and shares that the daemon "
            "does not know. Replace the database?",
            abort=True,
        )
    done = guarded(lambda: put_back(settings, file), settings)
    typer.echo(f"restored {words_of(done.backup)}")
    if done.put_aside is not None:
        typer.echo(f"what was there before is in {done.put_aside}")
    newest = history()[-1].revision
    if done.backup.schema != newest:
        typer.echo(f"its schema is {done.backup.schema}: polystra db upgrade, or the next start, brings it to {newest}")
