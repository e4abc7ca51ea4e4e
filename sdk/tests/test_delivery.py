"""Nothing blocks, nothing is lost unseen, and whoever follows the file reads every line."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pilothouse_sdk import LogPathError, flush_logging, setup_structured_logging
from pilothouse_sdk.files import SharedRotatingFile


def numbers(*files: Path) -> list[int]:
    return [json.loads(line)["n"] for file in files for line in file.read_text().splitlines()]


def test_rotation_keeps_every_line_and_is_by_renaming(path):
    """The file that a tailer holds open is finished under its new name; no line is cut between two."""
    setup_structured_logging(log_path=path, max_bytes=20_000, backups=50)
    log = logging.getLogger("x")
    log.info("first", extra={"n": 0})
    flush_logging()
    with path.open() as held:
        for n in range(1, 1000):
            log.info("a line of some length", extra={"n": n})
        assert flush_logging()
        followed = held.read()
        assert os.fstat(held.fileno()).st_ino != path.stat().st_ino
    files = sorted(path.parent.glob("api.log.[0-9]*"), key=lambda one: -int(one.suffix[1:]))
    assert numbers(*files, path) == list(range(1000))
    assert followed == files[0].read_text()
    assert all(file.stat().st_size <= 20_000 for file in files)


def test_only_so_many_are_kept(path):
    """The oldest goes."""
    setup_structured_logging(log_path=path, max_bytes=2_000, backups=2)
    for n in range(200):
        logging.getLogger("x").info("a line", extra={"n": n})
    flush_logging()
    assert {one.name for one in path.parent.iterdir()} == {"api.log", "api.log.1", "api.log.2", "api.log.lock"}


WRITER = """
import logging, sys
from pilothouse_sdk import setup_structured_logging
setup_structured_logging(log_path=sys.argv[1], max_bytes=30_000, backups=500, queue_size=100_000)
for n in range(int(sys.argv[2]), int(sys.argv[2]) + 2000):
    logging.getLogger("x").info("from one of several", extra={"n": n})
"""


def test_several_processes_on_one_file_lose_nothing(path):
    """Each turns over under a lock, and goes on in the file that has the name."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(at)]) for at in (0, 2000, 4000)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    files = [one for one in path.parent.iterdir() if one.name != "api.log.lock"]
    assert len(files) > 10
    assert sorted(numbers(*files)) == list(range(6000))


FORKER = """
import logging, os, sys
from pilothouse_sdk import setup_structured_logging
setup_structured_logging(log_path=sys.argv[1])
logging.getLogger("x").info("before", extra={"n": 0})
child = os.fork()
logging.getLogger("x").info("after", extra={"n": 2 if child else 1})
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    logging.shutdown()
    from pilothouse_sdk import flush_logging
    assert flush_logging()
    os._exit(0)
"""


def test_a_forked_child_logs_too(path):
    """A pre-forking server's workers write their own lines, and not the parent's again."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKER, str(path)], check=True, timeout=60)
    assert sorted(numbers(path)) == [0, 1, 2]


CRASHER = """
import logging, sys, threading
from pilothouse_sdk import setup_structured_logging
setup_structured_logging(log_path=sys.argv[1])
for n in range(500):
    logging.getLogger("x").info("line", extra={"n": n})
worker = threading.Thread(target=lambda: 1 / 0, name="side")
worker.start()
worker.join()
raise SystemExit(3) if sys.argv[2] == "exit" else KeyError("at the end")
"""


@pytest.mark.parametrize(("how", "status"), [("exit", 3), ("crash", 1)])
def test_all_is_written_at_the_end(path, how, status):
    """Also where the end is an exception, which is then the last line."""
    done = subprocess.run([sys.executable, "-c", CRASHER, str(path), how], check=False, capture_output=True, timeout=60)
    assert done.returncode == status
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["n"] for one in found if "n" in one] == list(range(500))
    uncaught = [one for one in found if one["logger"] == "uncaught"]
    assert [one["exception"]["type"] for one in uncaught] == ["ZeroDivisionError", "KeyError"][: 1 + (how == "crash")]
    assert all(one["level"] == "CRITICAL" for one in uncaught)


def test_a_slow_disk_never_blocks_and_drops_are_told(path, monkeypatch):
    """A full queue drops and counts; the count is in the log as soon as there is room."""
    go = threading.Event()
    write = SharedRotatingFile.emit

    def slow(self: SharedRotatingFile, record: logging.LogRecord) -> None:
        go.wait(30)
        write(self, record)

    monkeypatch.setattr(SharedRotatingFile, "emit", slow)
    setup_structured_logging(log_path=path, queue_size=100)
    for n in range(1000):
        logging.getLogger("x").info("line", extra={"n": n})
    go.set()
    time.sleep(1.1)
    logging.getLogger("x").info("line", extra={"n": 1000})
    assert flush_logging()
    found = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [one["n"] for one in found if "n" in one]
    told = [one["dropped"] for one in found if "dropped" in one]
    assert sum(told) == 1001 - len(kept)
    assert sum(told) >= 890


def test_a_full_disk_costs_lines_but_not_the_application(capfd):
    """What can't be written is counted, and told on stderr once."""
    setup_structured_logging(log_path="/dev/full", backups=1)
    for _ in range(50):
        logging.getLogger("x").info("line")
    flush_logging()
    for handler in logging.getLogger().handlers[:]:
        logging.getLogger().removeHandler(handler)
        handler.close()
    said = capfd.readouterr().err
    assert "log lines lost" in said
    assert said.count("log lines lost") == 1
    assert "Traceback" not in said


@pytest.mark.parametrize("what", ["a directory", "below a file"])
def test_a_path_that_cannot_be_written_says_why_and_what_to_do(path, what):
    """At once, by an error of its own, and what was set up before stays."""
    setup_structured_logging(log_path=path)
    before = logging.getLogger().handlers[:]
    wrong = path.parent if what == "a directory" else path / "below" / "x.log"
    with pytest.raises(LogPathError, match=r"can't write logs to .*: (Is|Not|File).*enable_file_logging=False"):
        setup_structured_logging(log_path=wrong)
    assert logging.getLogger().handlers == before


def test_without_a_file_lines_go_to_stdout(path, capsys):
    """As containers want it."""
    setup_structured_logging(enable_file_logging=False, log_path=path, service="web")
    logging.getLogger("x").info("hello")
    assert flush_logging()
    assert json.loads(capsys.readouterr().out)["message"] == "hello"
    assert not path.exists()
