"""`pilothouse`: the root of the commands. Each group is a file of its own, and imports what is heavy when called."""

import sys

import typer

from pilothouse import __version__
from pilothouse.cli import audit, doctor, logs, serve, users
from pilothouse.cli.connection import end_of_pipe

app = typer.Typer(
    name="pilothouse",
    help="Logs of this machine and its containers behind one login, with one audit trail.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"pilothouse {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Logs of this machine and its containers behind one login, with one audit trail."""
    del version


app.command()(serve.serve)
for name in ("gateway", "store", "worker"):
    app.command(name, help=f"Run the {name} alone, as a container does.")(serve.process_command(name))
app.command()(logs.services)
app.command()(logs.logs)
app.command()(logs.query)
app.add_typer(users.app, name="users")
app.add_typer(audit.app, name="audit")
app.command()(doctor.doctor)
app.command(hidden=True)(serve.openapi)


def main() -> None:
    """The entry point of the `pilothouse` command."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        end_of_pipe()
