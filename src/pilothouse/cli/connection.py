"""How the command line reaches a Pilothouse: a remote one by address and API key, or the one on this machine.

On this machine, whoever can read DATA_DIR is its owner: a short-lived API key is made in its database, used for the
one command and revoked; the audit trail names the operating system's user.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn
from urllib.parse import urlsplit

import typer

Url = typer.Option(None, "--url", envvar="PILOTHOUSE_URL", help="A remote Pilothouse; this machine's if left out.")
Key = typer.Option(None, "--key", envvar="PILOTHOUSE_API_KEY", help="An API key of the remote one.", show_envvar=True)
Json = typer.Option(False, "--json", help="Print JSON, for scripts.")
Params = Mapping[str, Any]


class CommandError(Exception):
    """What went wrong, for the person at the terminal."""


def fail(message: str) -> NoReturn:
    """Say what went wrong on stderr and exit with status 1."""
    typer.echo(f"pilothouse: {message}", err=True)
    raise typer.Exit(1)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a command's work; errors become a line on stderr, Ctrl-C exits with status 130."""
    import aiohttp  # noqa: PLC0415 - takes 100 ms

    from pilothouse.core.errors import PilothouseError  # noqa: PLC0415

    try:
        asyncio.run(work)
    except (CommandError, PilothouseError) as error:
        fail(str(error))
    except aiohttp.ClientConnectorError as error:
        number = error.os_error.errno or 0
        reason = os.strerror(number) if number > 0 else error.os_error.strerror or "no such host"
        fail(f"no Pilothouse answers at {error.host}:{error.port} ({reason}); `pilothouse doctor` there says why")
    except (aiohttp.ClientError, TimeoutError) as error:
        fail(f"the connection broke: {error or type(error).__name__}")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:
        end_of_pipe()


def end_of_pipe() -> NoReturn:
    """Who read our output has seen enough, as in `| head -1`: nothing is wrong, and nothing more is to be said."""
    os._exit(0)


class Api:
    """The REST API, as one principal. Errors in the envelope are raised as CommandError."""

    def __init__(self, base_url: str, key: str, session: Any) -> None:
        self._base = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}
        self._session = session

    async def call(self, method: str, path: str, *, params: Params | None = None, body: object = None) -> Any:
        """The decoded answer, or None where there is none."""
        query = [
            (name, str(one))
            for name, value in (params or {}).items()
            if value is not None
            for one in (value if isinstance(value, list) else [value])
        ]
        async with self._session.request(
            method, self._base + path, params=query, json=body, headers=self._headers, allow_redirects=False
        ) as response:
            text = await response.text()
            if response.status >= 400:
                raise CommandError(error_text(response.status, text))
            try:
                return json.loads(text) if text else None
            except ValueError:
                raise CommandError(f"{self._base} is no Pilothouse: it answered {text[:60]!r}") from None

    @asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[Any]:
        """A WebSocket under the same authority."""
        import aiohttp  # noqa: PLC0415 - loaded already by run()

        try:
            async with self._session.ws_connect(
                "ws" + self._base.removeprefix("http") + path, headers=self._headers, max_msg_size=16 << 20
            ) as ws:
                yield ws
        except aiohttp.WSServerHandshakeError as error:
            raise CommandError(f"refused with status {error.status}") from error


def error_text(status: int, body: str) -> str:
    """The message of the envelope, or the start of whatever came instead of one."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"status {status}: {' '.join(body[:200].split())}"


def checked(url: str) -> str:
    """An address that can be asked. Raises CommandError."""
    try:
        parts = urlsplit(url)
        if (
            parts.scheme in {"http", "https"}
            and parts.hostname
            and parts.port != 0
            and not (parts.query or parts.fragment)
        ):
            return url
    except ValueError:
        pass
    raise CommandError(f"{url!r:.200} is no address; give --url as in https://logs.example.com")


@asynccontextmanager
async def connect(url: str | None, key: str | None) -> AsyncIterator[Api]:
    """An Api for `--url` and `--key`, or for the Pilothouse of this machine. Raises CommandError."""
    import aiohttp  # noqa: PLC0415 - takes 100 ms

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_connect=10)) as session:
        if url:
            if not key:
                raise CommandError("a remote Pilothouse needs --key or PILOTHOUSE_API_KEY; make one under Settings")
            yield Api(checked(url), key, session)
            return
        from pilothouse.cli.local import borrowed_key  # noqa: PLC0415 - brings in the database

        async with borrowed_key() as (base_url, local_key):
            yield Api(base_url, local_key, session)
