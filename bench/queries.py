"""The ten questions of the goals, put to a running store over HTTP: milliseconds from request to last byte."""

import json
import statistics
import time
import urllib.parse
from dataclasses import dataclass

import aiohttp

WARM_UPS, ROUNDS = 2, 15
ABSENT_ID = "7d2f0c9be1a84356b0f4c81e59d3a672"


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One question, the goal in milliseconds, and what an answer must hold to count as one."""

    name: str
    goal_ms: float
    query: str
    limit: int = 100
    step: str | None = None
    lines: int | None = None
    series: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """What was measured: milliseconds, and how much came back."""

    question: Question
    median_ms: float
    worst_ms: float
    answer: str


def questions(present_id: str) -> tuple[Question, ...]:
    """`present_id` is a request id that one line of the corpus holds."""
    everything = '{service_name=~".+"}'
    return (
        Question(name="latest 1000 of a service", goal_ms=15, query='{service_name="api"}', limit=1000, lines=1000),
        Question(name="its errors, last 100", goal_ms=7, query='{service_name="api"} | detected_level="error"', lines=100),
        Question(name="service + substring, last 100", goal_ms=25, query='{service_name="api"} |= "timeout"', lines=100),
        Question(name="one request id among all", goal_ms=7, query=f'{everything} |= "{present_id}"', lines=1),
        Question(name="an absent id", goal_ms=3, query=f'{everything} |= "{ABSENT_ID}"', lines=0),
        Question(name="regex over all, last 1000", goal_ms=30, query=f'{everything} |~ "status=5.. duration=0[.]9"',
                 limit=1000, lines=1000),
        Question(name="JSON field filter, last 100", goal_ms=40, query='{service_name="api"} | json | duration_ms > 890',
                 lines=100),
        Question(name="histogram by level, 60 buckets", goal_ms=20,
                 query=f"sum by (detected_level) (count_over_time({everything}[1m]))", step="60s", series=5),
        Question(name="rate of matching lines by service", goal_ms=105,
                 query=f'sum by (service_name) (rate({everything} |= "timeout" [1m]))', step="60s", series=10),
        Question(name="p95 of a JSON field", goal_ms=120,
                 query='quantile_over_time(0.95, {service_name="api"} | json | unwrap duration_ms | __error__="" [5m])'
                       " by (service_name)", step="60s", series=1),
    )  # fmt: skip


async def ask(session: aiohttp.ClientSession, base: str, question: Question, *, start_ns: int, end_ns: int) -> Figure:
    """Put one question WARM_UPS + ROUNDS times. Raises ValueError where the answer is not the right one."""
    params = {"query": question.query, "start": str(start_ns), "end": str(end_ns), "limit": str(question.limit)}
    if question.step:
        params["step"] = question.step
    url = f"{base}/loki/api/v1/query_range?{urllib.parse.urlencode(params)}"
    times = []
    body = b""
    for _ in range(WARM_UPS + ROUNDS):
        began = time.perf_counter()
        async with session.get(url) as response:
            body = await response.read()
        times.append((time.perf_counter() - began) * 1000)
        if response.status != 200:
            raise ValueError(f"{question.name}: {response.status} {body[:200]!r}")
    result = json.loads(body)["data"]["result"]
    got = len(result) if question.series is not None else sum(len(stream["values"]) for stream in result)
    want = question.series if question.series is not None else question.lines
    if got != want:
        raise ValueError(f"{question.name}: wanted {want} in the answer, got {got}")
    times = times[WARM_UPS:]
    unit = "series" if question.series is not None else "lines"
    return Figure(question=question, median_ms=statistics.median(times), worst_ms=max(times), answer=f"{got} {unit}")
