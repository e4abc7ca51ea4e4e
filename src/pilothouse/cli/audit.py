"""`pilothouse audit …`."""

import sys

import typer

from pilothouse.cli import show
from pilothouse.cli.connection import Json, Key, Url, connect, run

app = typer.Typer(help="What was done, by whom.", no_args_is_help=True, rich_markup_mode=None)


@app.command("ls")
def ls(
    actor: str | None = typer.Option(None, help="Only what this user did."),
    action: str | None = typer.Option(None, help="Only this action."),
    limit: int = typer.Option(50, "-n", min=1, max=1000, help="The newest so many entries."),
    url: str | None = Url,
    key: str | None = Key,
    with_json: bool = Json,
) -> None:
    """List the newest entries."""

    async def work() -> None:
        async with connect(url, key) as api:
            params = {"actor": actor, "action": action, "limit": limit}
            entries = (await api.call("GET", "/api/v1/audit", params=params))["entries"]
            if with_json:
                show.as_json(entries)
                return
            columns = ("#", "at", "actor", "action", "object", "outcome", "address")
            show.table(columns, [tuple(e[c if c != "#" else "id"] for c in columns) for e in entries])

    run(work())


@app.command("verify")
def verify(with_json: bool = Json) -> None:
    """Check the whole chain of this machine's audit trail; name the first entry that does not fit (exit status 1)."""
    from pilothouse.cli.local import verify_audit  # noqa: PLC0415 - brings in the database
    from pilothouse.cli.progress import progress  # noqa: PLC0415

    async def work() -> None:
        with progress("Verifying the audit chain", hidden=with_json or not sys.stderr.isatty()) as advance:
            report = await verify_audit(advance)
        if with_json:
            show.as_json(report)
        elif report["ok"]:
            typer.echo(f"{report['entries']:,} entries, each fits")
        else:
            typer.echo(f"entry #{report['first_bad']} does not fit: {report['reason']}", err=True)
        if not report["ok"]:
            raise typer.Exit(1)

    run(work())
