"""What a line holds, whoever wrote it and whatever was given."""

import logging
import re
import warnings

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from pilothouse_sdk import setup_structured_logging
from pilothouse_sdk.delivery import Delivery
from pilothouse_sdk.lines import FIELDS, MAX_LINE, JsonFormatter
from pilothouse_sdk.redaction import Redactor


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

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    def __bool__(self):
        raise RuntimeError("no truth")

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
    assert found[10]["value"].endswith("… [cut, of 1000000 characters]")
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


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"level": "LOUD"}, "'LOUD' is no level; want one of"),
        ({"queue_size": 0}, "queue_size is 0; want 1 or more"),
        ({"max_bytes": 0}, "max_bytes is 0"),
        ({"backups": 0}, "backups is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(path, wrong, said):
    """With what would; nothing is set up, and no file is made."""
    before = logging.getLogger().handlers
    with pytest.raises(ValueError, match=said):
        setup_structured_logging(log_path=path, **wrong)
    assert logging.getLogger().handlers == before
    assert not path.exists()


def test_structlog_does_not_raise_into_the_application_either(log, lines):
    """A wrong placeholder, or an event that has no text, is a line all the same."""
    # The test runner's own handler is one that raises.
    logging.getLogger().handlers[:] = [one for one in logging.getLogger().handlers if isinstance(one, Delivery)]
    del log
    logger = structlog.get_logger("x")
    logger.info("%d of %s", "not a number")  # noqa: PLE1206 - that is the point
    logger.info(Hostile(), password=Hostile(), n=Hostile())
    first, second = lines()
    assert "not a number" in first["message"]
    assert second["message"] == second["n"] == "<unprintable Hostile: RuntimeError>"
    assert second["password"] == "[redacted]"


@pytest.mark.parametrize(
    "value",
    [["x" * 30_000] * 200, "\x00" * 32_000, [[["a"] * 200] * 200] * 200, {str(n): "\x01" * 900 for n in range(200)},
     {"k" * 40_000: 1}],
    ids=["texts", "escapes", "nested", "fields", "name"],
)  # fmt: skip
def test_a_line_is_bounded_as_a_whole(log, path, lines, value):
    """However its size comes about: a collector cuts what is longer, and half an object is none."""
    log.info("huge", extra={"value": value, "order": 5})
    (line,) = lines()
    assert line["message"] == "huge"
    assert line["order"] == 5
    assert path.stat().st_size <= MAX_LINE + 1


def test_many_exceptions_are_bounded(log, path, lines):
    """A group of groups, each with a chain."""

    def group(depth):
        return ExceptionGroup("g" * 100, [group(depth - 1) if depth else ValueError("x" * 1000) for _ in range(8)])

    try:
        raise group(3)
    except ExceptionGroup as error:
        error.add_note("seen on Tuesdays")
        log.exception("all of them")
    (line,) = lines()
    assert line["exception"]["notes"] == ["seen on Tuesdays"]
    assert line["exception"]["exceptions"][0]["exceptions"]
    assert path.stat().st_size <= MAX_LINE + 1


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary()
    | st.text(st.characters(exclude_categories=[])) | st.dates() | st.builds(Hostile) | st.builds(object),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.binary(), inner),
    max_leaves=30,
)  # fmt: skip


@given(ANYTHING, st.text(st.characters(exclude_categories=[])))
def test_any_value_is_one_line_of_strict_json(value, name):
    """Strict: no NaN, no half surrogate, nothing that a parser of another language refuses."""
    record = logging.makeLogRecord({"msg": value, FIELDS: {name: value}, "levelname": "INFO"})
    line = JsonFormatter("api", Redactor()).encoded(record)
    assert b"\n" not in line
    assert orjson.loads(line)["service"] == "api"
