"""Nothing blocks, nothing is lost unseen, and whoever follows the file reads every line."""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from pilothouse_sdk import LogPathError, flush_logging, setup_structured_logging
from pilothouse_sdk.files import SharedLogFile


def until(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def run(code: str, *arguments: object, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, **options)


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
    done = run(FORKER, path)
    assert done.returncode == 0, done.stderr
    assert sorted(numbers(path)) == [0, 1, 2]


POOL = """
import logging, multiprocessing, sys
from pilothouse_sdk import setup_structured_logging
setup_structured_logging(log_path=sys.argv[1])

def work(n):
    setup_structured_logging(log_path=sys.argv[1]) if sys.argv[2] != "fork" else None
    logging.getLogger("x").info("from a child", extra={"n": n})

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    children = [context.Process(target=work, args=(n,)) for n in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
"""


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_write_all_they_said(path, tmp_path, how):
    """They end by os._exit, where nothing of the interpreter's own end is run."""
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    subprocess.run([sys.executable, str(script), str(path), how], check=True, timeout=60)
    assert sorted(numbers(path)) == [0, 1, 2, 3]


KILLED = """
import logging, sys
from pilothouse_sdk import setup_structured_logging
setup_structured_logging(log_path=sys.argv[1], max_bytes=100_000, backups=500)
n = 0
while True:
    logging.getLogger("x").info("until it is killed " + "x" * 3000, extra={"n": n})
    n += 1
"""


def test_killed_at_any_moment_it_leaves_whole_lines(path):
    """Also while it turns over; whoever is started next goes on in the same file."""
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)])
        before = len(list(path.parent.glob("*"))) if path.parent.exists() else 0
        until(lambda before=before: path.exists() and len(list(path.parent.glob("*"))) > before + 5)
        process.kill()
        process.wait(30)
    for file in path.parent.glob("api.log*"):
        for line in file.read_bytes().splitlines(keepends=True):
            assert line.endswith(b"}\n")
            json.loads(line)


AS_NOBODY = """
import logging, os, sys
from pilothouse_sdk import LogPathError, flush_logging, setup_structured_logging
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    setup_structured_logging(log_path=sys.argv[1] + "/other.log")
except LogPathError as error:
    print(error)
setup_structured_logging(log_path=sys.argv[1] + "/api.log", max_bytes=2000, backups=2)
for n in range(100):
    logging.getLogger("x").info("line", extra={"n": n})
"""


def test_a_directory_that_may_not_be_written(path):
    """No new file, which is an error; one that is there already grows on without being turned over, which is said."""
    del path
    where = Path(tempfile.mkdtemp())
    try:
        (where / "api.log").touch()
        (where / "api.log").chmod(0o666)
        where.chmod(0o555)
        done = run(AS_NOBODY, where)
        assert "can't write logs to" in done.stdout
        assert "other.log: Permission denied. Let user id" in done.stdout
        assert done.stderr.count("grows on, it can't be renamed") == 1
        assert numbers(where / "api.log") == list(range(100))
        assert [one.name for one in where.iterdir()] == ["api.log"]
    finally:
        where.chmod(0o755)
        shutil.rmtree(where)


def test_a_directory_that_is_removed_is_made_again(path):
    """An administrator who tidies up does not end the log."""
    setup_structured_logging(log_path=path)
    logging.getLogger("x").info("before", extra={"n": 0})
    flush_logging()
    path.rename(path.with_suffix(".old"))
    logging.getLogger("x").info("moved away by logrotate", extra={"n": 1})
    flush_logging()
    assert numbers(path) == [1]
    shutil.rmtree(path.parent)
    logging.getLogger("x").info("after", extra={"n": 2})
    flush_logging()
    assert numbers(path) == [2]


FULL = """
import logging, resource, sys, time
from pilothouse_sdk import flush_logging, setup_structured_logging
setup_structured_logging(log_path=sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
for n in range(100):
    logging.getLogger("x").info("line", extra={"n": n})
flush_logging()
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
for n in range(100, 110):
    logging.getLogger("x").info("line", extra={"n": n})
"""


def test_what_a_full_disk_cost_is_told_in_the_log_when_there_is_room(path):
    """A line that was cut is the only one that is not whole; those lost are counted."""
    done = run(FULL, path)
    assert done.returncode == 0
    assert done.stderr.count("log lines lost") == 1
    found, torn = [], 0
    for line in path.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            torn += 1
    kept = [one["n"] for one in found if "n" in one]
    assert kept[-10:] == list(range(100, 110))
    assert torn == 1
    assert sum(one["dropped"] for one in found if "dropped" in one) == 110 - len(kept)


CAREFUL = """
import atexit, logging, signal, sys, threading
atexit.register(lambda: logging.getLogger("x").info("at the very end", extra={"n": -1}))
from pilothouse_sdk import flush_logging, setup_structured_logging
setup_structured_logging(log_path=sys.argv[1], queue_size=10**6)
log = logging.getLogger("x")

lock = threading.Lock()
class Guarded:
    def __str__(self):
        entered.set()
        with lock:
            return "guarded"
entered = threading.Event()
with lock:
    other = threading.Thread(target=lambda: log.info("%s", Guarded(), extra={"n": 0}))
    other.start()
    entered.wait(10)
    log.info("while another's text waits for this lock", extra={"n": 1})
other.join()

count = 0
def beat(*_):
    global count
    count += 1
    log.info("from a signal handler", extra={"n": 10**6 + count})
signal.signal(signal.SIGALRM, beat)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for n in range(2, 20_000):
    log.info("line", extra={"n": n})
signal.setitimer(signal.ITIMER_REAL, 0)
assert flush_logging(30)
print(count)
"""


def test_no_lock_is_in_the_way(path):
    """Of a value whose text needs a lock, of a signal handler, of what is registered for the very end."""
    done = run(CAREFUL, path)
    assert done.returncode == 0, done.stderr
    beats = int(done.stdout)
    assert beats > 10
    assert sorted(numbers(path)) == [-1, *range(20_000), *range(10**6 + 1, 10**6 + 1 + beats)]


def test_setting_up_again_loses_no_line_of_other_threads(path):
    """Each has either the old or the new."""
    setup_structured_logging(log_path=path)
    done = threading.Event()
    logged = [0] * 4

    def work(index: int) -> None:
        while not done.is_set() and logged[index] < 2000:
            logging.getLogger("x").info("line", extra={"n": index * 100_000 + logged[index]})
            logged[index] += 1

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        setup_structured_logging(log_path=path)
        time.sleep(0.01)
    done.set()
    for thread in threads:
        thread.join()
    assert flush_logging()
    assert sorted(numbers(path)) == [index * 100_000 + n for index in range(4) for n in range(logged[index])]


CRASHER = """
import logging, sys, threading
from pilothouse_sdk import setup_structured_logging
setup_structured_logging(log_path=sys.argv[1])
for n in range(500):
    logging.getLogger("x").info("line", extra={"n": n})
worker = threading.Thread(target=lambda: 1 / 0, name="side")
worker.start()
worker.join()
worker = threading.Thread(target=sys.exit)  # ends itself, and is no exception
worker.start()
worker.join()
raise SystemExit(3) if sys.argv[2] == "exit" else KeyError("at the end")
"""


@pytest.mark.parametrize(("how", "status"), [("exit", 3), ("crash", 1)])
def test_all_is_written_at_the_end(path, how, status):
    """Also where the end is an exception, which is then the last line."""
    done = run(CRASHER, path, how)
    assert done.returncode == status
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["n"] for one in found if "n" in one] == list(range(500))
    uncaught = [one for one in found if one["logger"] == "uncaught"]
    assert [one["exception"]["type"] for one in uncaught] == ["ZeroDivisionError", "KeyError"][: 1 + (how == "crash")]
    assert all(one["level"] == "CRITICAL" for one in uncaught)


def test_a_slow_disk_never_blocks_and_drops_are_told(path, monkeypatch):
    """A full queue drops and counts; the count is in the log as soon as there is room."""
    go = threading.Event()
    write = SharedLogFile.write

    def slow(self: SharedLogFile, data: bytes) -> None:
        go.wait(30)
        write(self, data)

    monkeypatch.setattr(SharedLogFile, "write", slow)
    setup_structured_logging(log_path=path, queue_size=100)
    for n in range(1000):
        logging.getLogger("x").info("line", extra={"n": n})
    go.set()
    assert flush_logging()
    # It is told although nothing more is logged.
    until(lambda: "were dropped" in path.read_text())
    found = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [one["n"] for one in found if "n" in one]
    assert kept == list(range(len(kept)))
    assert [one["dropped"] for one in found if "dropped" in one] == [1000 - len(kept)]
    assert 100 <= len(kept) <= 110


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
    assert said.count("log lines lost") == 1
    assert "Traceback" not in said


@pytest.mark.parametrize("what", ["a directory", "below a file", "a pipe that nobody reads"])
def test_a_path_that_cannot_be_written_says_why_and_what_to_do(path, what):
    """At once, by an error of its own, and what was set up before stays."""
    setup_structured_logging(log_path=path)
    before = logging.getLogger().handlers[:]
    wrong = {"a directory": path.parent, "below a file": path / "below" / "x.log"}.get(what, path.parent / "pipe")
    if wrong.name == "pipe":
        os.mkfifo(wrong)
    with pytest.raises(LogPathError, match=r"can't write logs to .*: (Is|Not|File|No such).*enable_file_logging=False"):
        setup_structured_logging(log_path=wrong)
    assert logging.getLogger().handlers == before


def test_without_a_file_lines_go_to_stdout(path, capsys):
    """As containers want it."""
    setup_structured_logging(enable_file_logging=False, log_path=path, service="web")
    logging.getLogger("x").info("hello")
    assert flush_logging()
    assert json.loads(capsys.readouterr().out)["message"] == "hello"
    assert not path.exists()
