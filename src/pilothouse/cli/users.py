"""`pilothouse users …`."""

from typing import Any

import typer

from pilothouse.cli import show
from pilothouse.cli.connection import Api, CommandError, Json, Key, Url, connect, run

app = typer.Typer(help="Who may sign in, and as what.", no_args_is_help=True, rich_markup_mode=None)
Roles = typer.Option(["viewer"], "--role", help="admin, developer, viewer or a custom role; may be given again.")


@app.command("ls")
def ls(url: str | None = Url, key: str | None = Key, with_json: bool = Json) -> None:
    """List the users."""

    async def work() -> None:
        async with connect(url, key) as api:
            users = await _users(api)
            if with_json:
                show.as_json(users)
            else:
                rows = [(u["username"], ", ".join(u["roles"]), "no" if u["disabled"] else "yes") for u in users]
                show.table(("user", "roles", "can sign in"), rows)

    run(work())


@app.command("add")
def add(
    username: str,
    role: list[str] = Roles,
    password_stdin: bool = typer.Option(False, help="Read the password from standard input."),
    url: str | None = Url,
    key: str | None = Key,
) -> None:
    """Add a user. The password is read from the terminal."""
    password = _password(password_stdin)

    async def work() -> None:
        async with connect(url, key) as api:
            body = {"username": username, "password": password, "roles": role}
            await api.call("POST", "/api/v1/users", body=body)
            typer.echo(f"added {username} as {', '.join(role)}")

    run(work())


@app.command("passwd")
def passwd(
    username: str,
    password_stdin: bool = typer.Option(False, help="Read the password from standard input."),
    url: str | None = Url,
    key: str | None = Key,
) -> None:
    """Set a user's password and end their sessions."""
    _change(username, {"password": _password(password_stdin)}, f"the password of {username} is set", url, key)


@app.command("roles")
def roles(username: str, role: list[str] = Roles, url: str | None = Url, key: str | None = Key) -> None:
    """Set a user's roles."""
    _change(username, {"roles": role}, f"{username} is now {', '.join(role)}", url, key)


@app.command("disable")
def disable(username: str, url: str | None = Url, key: str | None = Key) -> None:
    """Keep a user from signing in, and end their sessions."""
    _change(username, {"disabled": True}, f"{username} can no longer sign in", url, key)


@app.command("enable")
def enable(username: str, url: str | None = Url, key: str | None = Key) -> None:
    """Let a user sign in again."""
    _change(username, {"disabled": False}, f"{username} can sign in again", url, key)


@app.command("rm")
def rm(
    username: str,
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
    url: str | None = Url,
    key: str | None = Key,
) -> None:
    """Remove a user, with their sessions and API keys. The audit trail keeps what they did."""
    if not yes:
        typer.confirm(f"Remove {username}, with all sessions and API keys?", abort=True)

    async def work() -> None:
        async with connect(url, key) as api:
            await api.call("DELETE", f"/api/v1/users/{await _id_of(api, username)}")
            typer.echo(f"removed {username}")

    run(work())


@app.command("access")
def access(username: str, url: str | None = Url, key: str | None = Key) -> None:
    """Say what a user can see and do, as the server itself decides it. JSON."""

    async def work() -> None:
        async with connect(url, key) as api:
            show.as_json(await api.call("GET", f"/api/v1/users/{await _id_of(api, username)}/access"))

    run(work())


def _change(username: str, change: dict[str, object], done: str, url: str | None, key: str | None) -> None:
    async def work() -> None:
        async with connect(url, key) as api:
            await api.call("PATCH", f"/api/v1/users/{await _id_of(api, username)}", body=change)
            typer.echo(done)

    run(work())


async def _users(api: Api) -> list[dict[str, Any]]:
    answer = await api.call("GET", "/api/v1/users")
    return list(answer["users"] if isinstance(answer, dict) else answer)


async def _id_of(api: Api, username: str) -> str:
    for user in await _users(api):
        if user["username"] == username:
            return str(user["id"])
    raise CommandError(f"there is no user {username}")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return typer.get_text_stream("stdin").readline().rstrip("\n")
    return str(typer.prompt("New password", hide_input=True, confirmation_prompt="Once more"))
