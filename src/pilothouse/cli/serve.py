"""`pilothouse serve` and its processes."""

import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from pilothouse.settings import Settings


def settings_or_exit(**given: Any) -> "Settings":
    """The settings, or one line that names the wrong one and exit status 2."""
    from pilothouse.settings import SettingsError, load  # noqa: PLC0415 - pydantic takes 150 ms

    try:
        return load(**{name: value for name, value in given.items() if value is not None})
    except SettingsError as error:
        typer.echo(f"pilothouse: {error}", err=True)
        raise typer.Exit(2) from None


def serve(
    listen: str | None = typer.Option(None, help="host:port to listen on."),
    data_dir: str | None = typer.Option(None, help="Where everything is kept."),
) -> None:
    """Start everything: the one command that a machine needs."""
    settings = settings_or_exit(listen=listen, data_dir=data_dir)
    from pilothouse.supervisor import StartError, Supervisor  # noqa: PLC0415 - after the settings

    def say(text: str) -> None:
        print(f"pilothouse: {text}", file=sys.stderr, flush=True)

    async def run() -> int:
        return await Supervisor(settings, say=say).run()

    try:
        raise typer.Exit(asyncio.run(run()))
    except StartError as error:
        say(str(error))
        raise typer.Exit(1) from None


def process_command(name: str) -> Callable[[], None]:
    """The command that runs process `name` alone."""

    def command() -> None:
        from pilothouse import process  # noqa: PLC0415 - brings in the settings

        process.run(name)

    return command


def openapi() -> None:
    """Print the OpenAPI document of the REST API."""
    from pilothouse.gateway.openapi import openapi_document  # noqa: PLC0415 - brings in the web framework

    print(openapi_document())
