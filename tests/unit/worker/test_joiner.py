"""Stack traces come together, and nothing else does."""

import pytest

from pilothouse.worker.collect import joiner as joiner_module
from pilothouse.worker.collect.joiner import Joiner

PYTHON = """\
2026-01-31 09:30:00 ERROR api: request failed
Traceback (most recent call last):
  File "/app/api.py", line 10, in handle
    return work()
           ^^^^^^
  File "/app/work.py", line 3, in work
    raise ValueError("bad")
ValueError: bad"""
PYTHON_CHAINED = """\
Traceback (most recent call last):
  File "a.py", line 2, in <module>
    1 / 0
ZeroDivisionError: division by zero

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 4, in <module>
    raise KeyError("x")
KeyError: 'x'"""
PYTHON_CAUSED = PYTHON_CHAINED.replace(
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
JAVA = """\
Exception in thread "main" java.lang.IllegalStateException: A book has a null property
\tat com.example.Author.getBookIds(Author.java:38)
\tat com.example.Bootstrap.main(Bootstrap.java:14)
Caused by: java.lang.NullPointerException
\tat com.example.Book.getId(Book.java:22)
\t... 1 more"""
JAVA_LOGGED = """\
2026-01-31 09:30:00.123 ERROR 1 --- [nio-8080-exec-1] o.a.c.c.C.[dispatcherServlet] : Servlet.service() threw
org.springframework.dao.DataAccessException: no connection
\tat org.example.Dao.find(Dao.java:7) ~[app.jar:1.0]
\tSuppressed: java.io.IOException: closed
\t\tat org.example.Dao.close(Dao.java:9)
Caused by: java.net.ConnectException: refused
\tat java.base/sun.nio.ch.Net.connect(Net.java:579)
\t... 42 common frames omitted"""
GO = """\
panic: runtime error: invalid memory address or nil pointer dereference [recovered]
\tpanic: again
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a2f3c]

goroutine 1 [running]:
main.(*Server).handle(0x0, {0xc000012345, 0x1})
\t/app/server.go:42 +0x1d
main.main()
\t/app/main.go:7 +0x2f

goroutine 18 [chan receive, 2 minutes]:
main.run[...](0xc00001)
\t/app/run.go:9
created by main.main in goroutine 1
\t/app/main.go:5 +0x77
exit status 2"""
GO_SERVED = """\
2026/01/31 09:30:00 http: panic serving 127.0.0.1:5060: boom
goroutine 34 [running]:
net/http.(*conn).serve.func1()
\t/usr/local/go/src/net/http/server.go:1947 +0xbe
panic({0x6a1b20?, 0x78a3f0?})
\t/usr/local/go/src/runtime/panic.go:785 +0x132"""
NODE = """\
/app/index.js:3
throw new Error("boom");
^

Error: boom
    at Object.<anonymous> (/app/index.js:3:7)
    at node:internal/main/run_main_module:28:49 {
  code: 'E_BOOM'
}

Node.js v20.11.0"""
NODE_LOGGED = """\
TypeError: Cannot read properties of undefined (reading 'id')
    at find (file:///app/find.mjs:10:15)
    at async Promise.all (index 0)"""
EVENTS = {
    "python": PYTHON, "python chained": PYTHON_CHAINED, "python caused": PYTHON_CAUSED, "java": JAVA,
    "java logged": JAVA_LOGGED, "go": GO, "go served": GO_SERVED, "node": NODE, "node logged": NODE_LOGGED,
    "exception group": 'ERROR failed\n  + Exception Group Traceback (most recent call last):\n  |   File "x"\n  +----',
}  # fmt: skip
PLAIN = "2026-01-31T09:30:01Z INFO the next line"


def joined(text: str) -> list[str]:
    one: Joiner[int] = Joiner()
    events = [done for i, line in enumerate(text.split("\n")) if (done := one.add(line, i))]
    return [text for text, _, _ in (*events, one.flush())]


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_a_trace_is_one_event(event: str) -> None:
    """Between two plain lines, a trace is one event and the lines around it are theirs."""
    assert joined(f"{PLAIN}\n{event}\n{PLAIN}") == [PLAIN, event, PLAIN]


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_two_traces_in_a_row_are_two(event: str) -> None:
    """The same trace twice is two events, where its first line tells that it begins."""
    if event.startswith(("Traceback", "goroutine", "/app")):
        return  # a Traceback behind a trace with nothing between can't be told from one that is chained
    assert joined(f"{event}\n{event}") == [event, event]


def test_an_uncaught_traceback_is_not_the_line_before() -> None:
    """A trace behind a line that tells of no trouble is an event of its own."""
    trace = PYTHON.partition("\n")[2]
    assert joined(f"INFO all is well\n{trace}") == ["INFO all is well", trace]
    assert joined(f"{trace}\nINFO all is well") == [trace, "INFO all is well"]


def test_plain_lines_stay_apart() -> None:
    """Lines that look a little like a part of a trace, but stand behind no trace, are events."""
    lines = ["one", "", "Caused by: rain", "main.main()", "exit status 1", "a.b.c", "^", "}", "Error: x", "panic room"]
    assert joined("\n".join(lines)) == lines


def test_indented_lines_belong_to_the_line_before() -> None:
    """A dump that is printed with indentation is one event, its closing brace too."""
    assert joined('{\n  "a": 1\n}\nnext') == ['{\n  "a": 1\n}', "next"]


def test_places_are_those_of_the_first_and_the_last_line() -> None:
    """An event tells where it begins and ends, the empty lines behind it with it."""
    one: Joiner[int] = Joiner()
    for i, line in enumerate([*PYTHON_CHAINED.split("\n"), ""]):
        assert one.add(line, i) is None
    assert one.add(PLAIN, 99) == (PYTHON_CHAINED, 0, len(PYTHON_CHAINED.split("\n")))
    assert one.is_open
    assert one.flush() == (PLAIN, 99, 99)
    assert not one.is_open
    assert one.flush() is None


def test_an_endless_trace_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of indented text becomes events of bounded size, with every line in one."""
    monkeypatch.setattr(joiner_module, "MOST_LINES", 10)
    events = joined("\n".join(f"  line {i}" for i in range(95)))
    assert len(events) == 10
    assert "\n".join(events).split("\n") == [f"  line {i}" for i in range(95)]
    monkeypatch.setattr(joiner_module, "MOST_CHARS", 20)
    assert joined("a\n " + "b" * 30 + "\n c") == ["a", " " + "b" * 30, " c"]
