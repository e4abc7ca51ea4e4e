"""What a line holds, whoever wrote it and whatever was given."""

import logging
import re
import warnings

import pytest
import structlog

from pilothouse_sdk import setup_structured_logging
from pilothouse_sdk.delivery import Delivery


def test_the_standard_library_and_structlog_write_the_same_form(log, lines):
    """Timestamp, level, logger, message, service; fields as they were given."""
    log.info("order %d paid", 5, extra={"amount": 12.5, "items": ["a", "b"]})
    structlog.get_logger("shop.orders").info("order %d paid", 5, amount=12.5, items=["a", "b"])
    first, second = lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first.pop("timestamp"))
    assert second.pop("timestamp")
    assert first == second == {
        "level": "INFO", "logger": "shop.orders", "message": "order 5 paid", "service": "api", "amount": 12.5,
        "items": ["a", "b"],
    }  # fmt: skip


def test_levels_hold_for_both(log, lines):
    """What is under the level is not written."""
    log.debug("no")
    structlog.get_logger("x").debug("no")
    structlog.get_logger("x").warning("yes")
    assert [(one["level"], one["message"]) for one in lines()] == [("WARNING", "yes")]


def test_what_is_bound_to_the_context_is_on_every_line(log, lines):
    """Structlog's context variables are on the standard library's lines too."""
    with structlog.contextvars.bound_contextvars(order=7):
        log.info("inside")
    log.info("outside")
    assert [one.get("order") for one in lines()] == [7, None]


@pytest.mark.parametrize("by", ["standard", "structlog"])
def test_an_exception_is_a_structure(log, lines, by):
    """Type, message, frames with the innermost last, and its cause."""
    try:
        try:
            int("x")
        except ValueError as error:
            raise RuntimeError("no such order") from error
    except RuntimeError:
        (log if by == "standard" else structlog.get_logger("shop.orders")).exception("it broke")
    (line,) = lines()
    assert (line["level"], line["message"]) == ("ERROR", "it broke")
    error = line["exception"]
    assert (error["type"], error["message"]) == ("RuntimeError", "no such order")
    assert error["frames"][-1]["function"] == "test_an_exception_is_a_structure"
    assert error["frames"][-1]["code"] == 'raise RuntimeError("no such order") from error'
    assert error["cause"]["type"] == "ValueError"
    assert "stack" not in line


def test_groups_and_long_chains_are_bounded(log, lines):
    """An exception group shows what is in it; a recursion is cut."""

    def deep(n: int) -> None:
        if n == 0:
            raise ExceptionGroup("two", [ValueError("a"), KeyError("b")])
        deep(n - 1)

    try:
        deep(200)
    except ExceptionGroup:
        log.exception("both")
    error = lines()[0]["exception"]
    assert [one["type"] for one in error["exceptions"]] == ["ValueError", "KeyError"]
    assert len(error["frames"]) == 50
    assert error["frames_left_out"] > 100


class Hostile:
    """What a careless class may do."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def items(self):
        raise RuntimeError("no items")


def test_nothing_that_is_logged_breaks_a_line_or_raises(log, lines):
    """One call is one line of JSON, whatever it was given."""
    # The test runner's own handler is one that raises.
    logging.getLogger().handlers[:] = [one for one in logging.getLogger().handlers if isinstance(one, Delivery)]
    loop: dict[str, object] = {}
    loop["self"] = loop
    given = [
        object(), Hostile(), loop, b"\xff\x00bytes", "line\nbreak\r\x00\u2028", "half \ud800 pair", 1 << 70, float("nan"),
        {1: "a", ("b",): 2}, {"deep": [[[[[[[[[[1]]]]]]]]]]}, "x" * 1_000_000, set("ab"), list(range(1000)),
    ]  # fmt: skip
    for value in given:
        log.info("got", extra={"value": value})
    log.info("%d of %s", "not a number")  # noqa: PLE1206 - that is the point
    log.info(Hostile())
    log.info("names", extra={"level_": 1, "service": "mine", "timestamp": 3})
    found = lines()
    assert len(found) == len(given) + 3
    assert found[10]["value"].endswith("characters more]")
    assert len(found[10]["value"]) < 33_000
    assert "%d of %s" in found[-3]["message"]
    assert (found[-1]["service"], found[-1]["service_"], found[-1]["timestamp_"]) == ("api", "mine", 3)


def test_warnings_and_uncaught_exceptions_are_lines_too(log, lines):
    """What Python itself complains of is in the log."""
    del log
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)
    (line,) = lines()
    assert line["logger"] == "py.warnings"
    assert "old ways" in line["message"]


def test_the_service_is_what_it_is_told_to_be(path, lines, monkeypatch):
    """The argument, or OpenTelemetry's variable, or the file's name."""
    setup_structured_logging(log_path=path, service="shop")
    logging.getLogger().info("a")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "otel")
    setup_structured_logging(log_path=path)
    logging.getLogger().info("b")
    assert [one["service"] for one in lines()] == ["shop", "otel"]


def test_setting_up_twice_writes_once(path, lines):
    """The second replaces the first."""
    for _ in range(3):
        setup_structured_logging(log_path=path)
    logging.getLogger("x").info("once")
    assert [one["message"] for one in lines()] == ["once"]


def test_a_level_that_is_none_is_refused(path):
    """With those that are."""
    with pytest.raises(ValueError, match="'LOUD' is no level; want one of"):
        setup_structured_logging(level="LOUD", log_path=path)
