"""The whole of Pilothouse as `pilothouse serve` runs it, with nothing to do: how soon it is ready, what it holds."""

import asyncio
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

REST_SECONDS = 10
GOAL_READY, GOAL_IDLE = 3.0, 300_000_000
"""Seconds from the command to ready; bytes of all processes together, shared pages counted once."""


async def measure() -> list[str]:
    """Start, wait, read, stop: lines for a person, ours beside the goal."""
    where = Path(tempfile.mkdtemp(prefix="pilothouse-bench-", dir="/var/tmp"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PILOTHOUSE_")} | {
        "PILOTHOUSE_DATA_DIR": str(where / "data"), "PILOTHOUSE_LISTEN": f"127.0.0.1:{port}",
        "PILOTHOUSE_ADMIN_PASSWORD": "a quiet harbour at dawn",
    }  # fmt: skip
    out = []
    try:
        # The second start is the usual one; the first also makes the database and the keys.
        for start in ("first start to ready", "start to ready"):
            began = time.perf_counter()
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "pilothouse", "serve", env=environment, stderr=asyncio.subprocess.PIPE, cwd=where
            )
            assert process.stderr
            while b"ready in" not in (line := await process.stderr.readline()):
                if not line:
                    raise RuntimeError("it ended before it was ready")
            out.append(f"{start:<23}{time.perf_counter() - began:>12.1f} s          goal < {GOAL_READY:g}")
            if start == "start to ready":
                await asyncio.sleep(REST_SECONDS)
                held = {pid: _held(pid) for pid in _family(process.pid)}
                out.append(f"memory, all at rest    {sum(held.values()) / 1e6:>12.0f} MB         goal < {GOAL_IDLE / 1e6:.0f}"
                           f"   ({len(held)} processes)")  # fmt: skip
            process.send_signal(signal.SIGTERM)
            await process.communicate()
    finally:
        shutil.rmtree(where)
    return out


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _held(pid: int) -> int:
    """Proportional set size, bytes: pages shared by several processes count once in their sum."""
    return int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)[1]) * 1024
