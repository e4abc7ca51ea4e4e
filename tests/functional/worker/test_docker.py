"""Real containers of a real daemon: what they said is in the store, each line exactly once and in order."""

import asyncio
import json
import re
import signal
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from tests.functional.docker_daemon import IMAGE, Daemon, daemon
from tests.functional.store.conftest import StoreProcess
from tests.functional.worker.conftest import WorkerProcess, in_order, settled, until

pytestmark = pytest.mark.docker
MakeWorker = Callable[..., Awaitable[WorkerProcess]]
NUMBER = re.compile(r"(\S+) n=(\d+)")
COUNT = 'i=0; while true; do for j in 1 2 3 4 5 6 7 8 9 10; do i=$((i+1)); echo "$RUN n=$i"; done; usleep 40000; done'
"""About 200 numbered lines a second, of a run that has a name of its own."""
RUN = 'trap "exit 0" TERM; read -r RUN < /proc/sys/kernel/random/uuid; '


@pytest.fixture(scope="module")
def dockerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(tmp_path_factory.mktemp("docker")) as one:
        yield one


@pytest.fixture
def docker(dockerd: Daemon) -> Iterator[Daemon]:
    """The daemon, without containers."""
    yield dockerd
    if names := dockerd.names():
        dockerd.docker("rm", "-f", *names)


async def call(daemon_: Daemon, *arguments: str) -> str:
    done = await asyncio.to_thread(daemon_.docker, *arguments)
    return done.stdout + done.stderr


async def test_labels_streams_and_long_lines(docker: Daemon, store: StoreProcess, make_worker: MakeWorker) -> None:
    """Compose's labels name the service, both streams are told apart, 16 kB parts are joined, terminals too."""
    script = (
        "echo out; echo err >&2; head -c 50000 /dev/zero | tr '\\0' x; echo; "
        "head -c 16384 /dev/zero | tr '\\0' y; echo; printf 'caf\\351\\n'; echo last; sleep 100"
    )
    compose = ("--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=web")
    await asyncio.to_thread(docker.run, "shop-web-1", script, *compose)
    await asyncio.to_thread(docker.run, "term", script.replace("echo err >&2; ", ""), "-t")
    trace = (
        "echo 'ERROR x'; echo 'Traceback (most recent call last):'; echo '  File 1'; echo 'ValueError: y'; echo next"
    )
    await asyncio.to_thread(docker.run, "trace", f"{trace}; head -c 300000 /dev/zero | tr '\\0' z; echo; exit 3")
    await make_worker(DOCKER="true", DOCKER_HOST=docker.host)
    long = ["x" * 50_000, "y" * 16_384]
    await settled(
        store,
        '{service_name="web", stream="stdout"}',
        ["out", *long, "caf\N{REPLACEMENT CHARACTER}", "last"],
        ordered=True,
    )
    await settled(store, '{service_name="web", stream="stderr"}', ["err"])
    await settled(store, '{service_name="term"}', ["out", *long, "caf\N{REPLACEMENT CHARACTER}", "last"], ordered=True)
    traced = "ERROR x\nTraceback (most recent call last):\n  File 1\nValueError: y"
    await settled(store, '{service_name="trace"}', [traced, "next", "z" * (256 * 1024)], ordered=True)
    labels = (await store.lines('{service_name="web", stream="stderr"}'))[0][0]
    inspected = json.loads(await call(docker, "inspect", "shop-web-1"))[0]
    for name, value in {
        "project": "shop", "container": "shop-web-1", "host": "here", "image": IMAGE, "container_id": inspected["Id"][:12],
    }.items():  # fmt: skip
        assert labels[name] == value
    assert (await store.lines('{service_name="trace"}'))[-1][0]["truncated"] == "300000"


async def test_nothing_is_lost_and_nothing_twice(docker: Daemon, store: StoreProcess, make_worker: MakeWorker) -> None:
    """1,000 lines a second in all, while containers are killed, restarted and removed, and worker and daemon die."""
    for i in range(5):
        options = ("-t",) if i == 4 else ()
        to = " >&2" if i == 3 else ""
        await asyncio.to_thread(docker.run, f"c{i}", f"{RUN}{{ {COUNT}; }}{to}", *options)
    worker = await make_worker(DOCKER="true", DOCKER_HOST=docker.host)
    await asyncio.sleep(2)
    await call(docker, "kill", "c0")
    await call(docker, "start", "c0")
    await call(docker, "restart", "-t", "1", "c1")
    await worker.restart()
    await call(docker, "kill", "c0")
    await worker.end()
    await call(docker, "start", "c0")
    await asyncio.sleep(1)
    await worker.start()
    new = await asyncio.to_thread(docker.run, "new", f"{RUN}{COUNT}")

    async def followed() -> None:
        assert await store.lines('{service_name="new"}', limit=1)

    await until(followed)
    await worker.restart()
    await asyncio.sleep(1)
    # What is removed can't be asked afterwards: it says its last word, and that is what must be there.
    await call(docker, "stop", "-t", "1", "c2")
    removed = {"c2": (await call(docker, "logs", "c2")).splitlines()}
    await call(docker, "rm", "c2")
    await call(docker, "rm", "-f", "c3")
    await worker.restart(signal.SIGTERM)

    await asyncio.to_thread(docker.stop)

    async def away() -> None:
        assert "containers are not collected" in worker.said()
        assert (await worker.figures())["pilothouse_worker_docker_available"] == 0

    await until(away)
    await asyncio.to_thread(docker.start)
    await call(docker, "start", "new", "c1")
    await asyncio.sleep(1)
    await store.kill()
    await asyncio.sleep(1)
    await store.start()
    await worker.restart()
    await call(docker, "kill", "new", "c1")

    for name in ("c0", "c1", "c4", "new"):
        removed[name] = (await call(docker, "logs", name)).splitlines()
    total = 0
    for name, lines in removed.items():
        await settled(store, f'{{container="{name}"}}', lines, ordered=True)
        total += len(lines)
    assert total > 5000
    # Of what was removed while it spoke, all from the first to the last that came, in order.
    whole(await in_order(store, '{container="c3"}'))
    assert (await store.lines('{container="c3"}'))[0][0]["stream"] == "stderr"

    await call(docker, "rm", "new")

    async def forgotten() -> None:
        positions = json.loads((store.data / "positions" / "docker.json").read_text())
        assert new not in positions

    await until(forgotten)
    await settled(store, '{container="new"}', removed["new"])
    assert "Docker answers" in worker.said()


def whole(lines: list[str]) -> None:
    """Every run's numbers, from 1 on without a gap."""
    runs: defaultdict[str, list[int]] = defaultdict(list)
    for line in lines:
        found = NUMBER.fullmatch(line)
        runs[found[1]].append(int(found[2]))
    assert runs
    for numbers in runs.values():
        assert numbers == list(range(1, len(numbers) + 1))


async def test_short_lives(docker: Daemon, store: StoreProcess, make_worker: MakeWorker) -> None:
    """Containers that say a word and end, before the worker runs and while it does, are heard; removal keeps it."""
    await asyncio.to_thread(docker.run, "before", "echo before")
    worker = await make_worker(DOCKER="true", DOCKER_HOST=docker.host)
    for i in range(5):
        await asyncio.to_thread(docker.run, f"brief{i}", f"echo brief {i}")
    await settled(store, '{container=~"before|brief."}', ["before", *(f"brief {i}" for i in range(5))])
    await call(docker, "rename", "brief0", "renamed")
    await call(docker, "start", "renamed")
    await settled(store, '{container="renamed"}', ["brief 0"])
    await call(docker, "rm", "-f", *docker.names())
    await settled(store, '{container=~"before|brief."}', ["before", *(f"brief {i}" for i in range(5))])

    async def told() -> None:
        figures = await worker.figures()
        assert figures["pilothouse_worker_docker_containers"] == 0
        assert not [name for name in figures if 'source="docker:' in name]

    await until(told)


async def test_a_quiet_stream_beside_a_busy_one(docker: Daemon, store: StoreProcess, make_worker: MakeWorker) -> None:
    """A line on stderr does not wait until stdout is quiet."""
    await make_worker(DOCKER="true", DOCKER_HOST=docker.host)
    script = "sleep 1; echo alarm >&2; while true; do echo busy; usleep 5000; done"
    await asyncio.to_thread(docker.run, "both", script)
    await settled(store, '{container="both", stream="stderr"}', ["alarm"])


async def test_what_docker_does_not_keep(docker: Daemon, store: StoreProcess, make_worker: MakeWorker) -> None:
    """A container whose logging driver keeps nothing is told once, and holds up no other."""
    await asyncio.to_thread(docker.run, "mute", "echo unheard; sleep 100", "--log-driver", "none")
    await asyncio.to_thread(docker.run, "heard", "echo heard; sleep 100")
    worker = await make_worker(DOCKER="true", DOCKER_HOST=docker.host)
    await settled(store, '{container="heard"}', ["heard"])
    await asyncio.sleep(3)
    assert worker.said().count("a container's output can't be read on") == 1


async def test_metrics_of_containers(docker: Daemon, store: StoreProcess, make_worker: MakeWorker) -> None:
    """/metrics tells lines, bytes and lag for each container, and whether Docker answers."""
    await asyncio.to_thread(docker.run, "ten", "for i in 0 1 2 3 4 5 6 7 8 9; do echo line $i; done; sleep 100")
    worker = await make_worker(DOCKER="true", DOCKER_HOST=docker.host)
    await settled(store, '{container="ten"}', [f"line {i}" for i in range(10)])
    figures = await worker.figures()
    assert figures["pilothouse_worker_docker_available"] == 1
    assert figures["pilothouse_worker_docker_containers"] == 1
    assert figures['pilothouse_worker_lines_total{source="docker:ten"}'] == 10
    assert figures['pilothouse_worker_bytes_total{source="docker:ten"}'] == 60
    assert 0 <= figures['pilothouse_worker_lag_seconds{source="docker:ten"}'] < 60


async def test_no_docker_here(store: StoreProcess, tmp_path: Path, make_worker: MakeWorker) -> None:
    """Where there is no daemon the worker says so once and does the rest of its work."""
    (tmp_path / "app.log").write_text("heard\n")
    worker = await make_worker(
        DOCKER="true", DOCKER_HOST=f"unix://{tmp_path}/no.sock", LOG_FILES=f"app={tmp_path}/app.log"
    )
    await settled(store, '{service_name="app"}', ["heard"])
    assert (await worker.figures())["pilothouse_worker_docker_available"] == 0
    assert worker.said().count("containers are not collected") == 1
