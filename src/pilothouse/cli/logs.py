"""`pilothouse logs` and `pilothouse query`."""

import json
import sys
import urllib.parse
from typing import Any

import typer

from pilothouse.cli import show
from pilothouse.cli.connection import Api, CommandError, Json, Key, Url, connect, run

PAGE = 1000


def logs(
    service: str = typer.Argument(help="The service, as `pilothouse services` names it."),
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on with new lines as they come."),
    level: list[str] | None = typer.Option(None, help="DEBUG, INFO, WARN or ERROR; may be given again."),
    since: str = typer.Option("15m", help="How far back: 30s, 15m, 2h, 7d, or an RFC 3339 time."),
    search: str | None = typer.Option(None, help="Only lines that hold this text."),
    regex: bool = typer.Option(False, help="The search text is a regular expression."),
    lines: int = typer.Option(100, "--lines", "-n", min=1, max=10_000, help="The newest so many lines."),
    url: str | None = Url,
    key: str | None = Key,
    with_json: bool = Json,
) -> None:
    """Show a service's newest lines, and follow them."""
    filters = {"level": level or None, "search": search, "regex": "true" if regex else None}

    async def work() -> None:
        async with connect(url, key) as api:
            path = urllib.parse.quote(service, safe="")
            answer = await api.call(
                "GET",
                f"/api/v1/logs/{path}",
                params={**filters, "limit": lines, "start_time": start_of(since), "direction": "backward"},
            )
            found = answer["logs"][::-1]
            for line in found:
                show.log_line(line, with_json=with_json)
            sys.stdout.flush()
            if follow:
                since_cursor = found[-1]["cursor"] if found else answer["searched"]["to"]
                await follow_lines(api, f"/ws/logs/{path}", {**filters, "since": since_cursor}, with_json=with_json)

    run(work())


def query(
    text: str = typer.Argument(metavar="LOGQL", help="""Such as '{service_name="api"} |= "timeout"'."""),
    since: str = typer.Option("1h", help="How far back: 30s, 15m, 2h, 7d, or an RFC 3339 time."),
    limit: int = typer.Option(100, min=1, max=10_000, help="The newest so many lines."),
    step: str | None = typer.Option(None, help="Seconds or a duration between points of a metric query."),
    url: str | None = Url,
    key: str | None = Key,
    with_json: bool = Json,
) -> None:
    """Ask in LogQL."""

    async def work() -> None:
        async with connect(url, key) as api:
            params = {"query": text, "start": start_of(since), "limit": limit, "step": step}
            answer = await api.call("GET", "/api/v1/logs/query", params=params)
            if with_json:
                show.as_json(answer)
            elif "logs" in answer:
                for line in answer["logs"][::-1]:
                    show.log_line(line, with_json=False, with_service=True)
            else:
                show_series(answer)

    run(work())


def services(url: str | None = Url, key: str | None = Key, with_json: bool = Json) -> None:
    """List the services that log, with their lines of the last 24 hours."""

    async def work() -> None:
        async with connect(url, key) as api:
            found = await api.call("GET", "/api/v1/logs/services")
            if with_json:
                show.as_json(found)
                return
            columns = ("service", "project", "status", "last seen", "lines 24h", "errors 24h")
            show.table(
                columns,
                [
                    (
                        s["id"],
                        s.get("project"),
                        s["status"],
                        s["last_seen"],
                        s["lines_24h"],
                        s["levels"].get("ERROR", 0),
                    )
                    for s in found
                ],
            )

    run(work())


def start_of(since: str) -> str:
    """An RFC 3339 time, given as such or as a duration before now. Raises InvalidRequest."""
    from pilothouse.core.times import format_instant, now_ns, parse_instant, parse_span  # noqa: PLC0415

    if since[:5].endswith("-") or since.isdigit():
        return format_instant(parse_instant(since, field="--since"))
    return format_instant(max(0, now_ns() - parse_span(since, field="--since")))


def show_series(answer: dict[str, Any]) -> None:
    """A metric query's answer: each series with its newest value."""
    rows = []
    for series in answer["result"]:
        if not isinstance(series, dict):
            rows.append(("", answer["result"][1]))
            break
        labels = ", ".join(f"{name}={value}" for name, value in sorted(series["metric"].items()))
        newest = series["values"][-1] if series.get("values") else series["value"]
        rows.append((labels or "{}", newest[1]))
    show.table(("series", "newest value"), rows)


async def follow_lines(api: Api, path: str, params: dict[str, Any], *, with_json: bool) -> None:
    """Print the frames of a live tail until it ends. Raises CommandError with the reason of its close."""
    pairs = [(n, one) for n, v in params.items() if v for one in (v if isinstance(v, list) else [v])]
    async with api.socket(f"{path}?{urllib.parse.urlencode(pairs)}") as ws:
        while True:
            message = await ws.receive()
            if not isinstance(message.data, str):
                raise CommandError(f"the tail ended: {reason_of(message.extra) or f'code {ws.close_code}'}")
            frame = json.loads(message.data)
            if frame["type"] == "lines":
                for line in frame["lines"]:
                    show.log_line(line, with_json=with_json)
                sys.stdout.flush()
            elif frame["type"] == "gap":
                typer.echo(f"-- {frame['dropped']} lines skipped, {frame['from']} to {frame['to']}", err=True)
            elif frame["type"] == "error":
                typer.echo(f"-- {frame['error']['message']}", err=True)


def reason_of(close: str | None) -> str:
    """The message of the envelope in a close frame, or whatever stands there."""
    try:
        return str(json.loads(close or "")["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return close or ""
