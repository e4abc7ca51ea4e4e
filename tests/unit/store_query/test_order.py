"""The order of an answer, and how much of it, whatever is read first."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilothouse.query.logql import parse
from pilothouse.store.logs.query import lines as module
from pilothouse.store.logs.query.lines import select_lines

LINES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12), st.sampled_from(["keep", "drop"])), max_size=120)


@pytest.mark.parametrize("forward", [True, False])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(lines=LINES, cut=st.integers(0, 120), limit=st.integers(1, 20))
async def test_pieces_read_in_parts_give_what_whole_ones_give(holding, budget, monkeypatch, forward, lines, cut, limit):
    """Also for lines of equal times, in several streams, in segments and in the head."""
    rows = [({"service_name": name}, 10**18 + ts, f"{text} {n}") for n, (name, ts, text) in enumerate(lines)]
    query = parse('{service_name=~".+"} |~ "ke+p"')
    answers = []
    async with holding(rows[:cut], rows[cut:]) as store:
        for part in (1, 3, 10**6):
            monkeypatch.setattr(module, "PART", part)
            found = select_lines(
                store.snapshot(), query, start=10**18, end=10**18 + 100, limit=limit, forward=forward, budget=budget
            )
            answers.append([(line.ts, line.text) for line in found])
    assert answers[0] == answers[1] == answers[2]
    times = [ts for ts, _ in answers[0]]
    assert times == sorted(times, reverse=not forward)
    wanted = sorted((ts for _, ts, text in rows if text.startswith("keep")), reverse=not forward)
    assert times == wanted[:limit]
