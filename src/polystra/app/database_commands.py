"""`polystra db`: where the database's schema stands, and bringing it up to date.

What lives here: the three commands and their words. What must not: statements, the schema.
"""

from __future__ import annotations

import typer

from polystra.adapters.store.migrations import current, history, upgrade
from polystra.app.failures import guarded, settings_from_here

database_app = typer.Typer(help="The database's schema.", no_args_is_help=True)


@database_app.command("current")
def show_current() -> None:
    """Show the revision of the database's schema."""
    settings = settings_from_here()
    revision = guarded(lambda: current(settings.resolved_database_url.get_secret_value()), settings)
    newest = history()[-1].revision
    if revision is None:
        typer.echo(f"no schema yet; polystra db upgrade brings it to {newest}")
    elif revision == newest:
        typer.echo(f"{revision} (up to date)")
    else:
        typer.echo(f"{revision}; polystra db upgrade brings it to {newest}")


@database_app.command("upgrade")
def bring_up_to_date() -> None:
    """Bring the database to this version's schema; makes it when it is missing."""
    settings = settings_from_here()
    report = guarded(lambda: upgrade(settings.resolved_database_url.get_secret_value()), settings)
    if report.migrated:
        typer.echo(f"migrated from {report.before or 'an empty database'} to {report.after}")
    else:
        typer.echo(f"{report.after} (up to date)")


@database_app.command("history")
def show_history() -> None:
    """List the revisions that this version knows, oldest first."""
    settings = settings_from_here()
    for revision in guarded(history, settings):
        typer.echo(f"{revision.revision}  {revision.summary}")
