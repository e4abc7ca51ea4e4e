"""A Docker daemon of the tests' own, with an image made of Debian's busybox."""

import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IMAGE = "pilothouse-test:latest"
LINKS = ("sh", "ash", "cat", "echo", "seq", "sleep", "date", "kill", "usleep", "head", "tr", "yes", "printf", "true")


class Daemon:
    """Where the daemon listens, and a client for it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "docker.sock"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        command = [
            shutil.which("dockerd") or "/usr/sbin/dockerd", f"--data-root={self.directory}/data",
            f"--exec-root={self.directory}/exec", f"--host={self.host}", f"--pidfile={self.directory}/pid",
            "--iptables=false", "--bridge=none", "--log-level=error",
        ]  # fmt: skip
        with (self.directory / "dockerd.log").open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output)
        deadline = time.monotonic() + 60
        while self.docker("version", check=False).returncode:
            assert self.process.poll() is None, (self.directory / "dockerd.log").read_text()
            assert time.monotonic() < deadline, (self.directory / "dockerd.log").read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=60)

    def docker(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        client = shutil.which("docker", path="/usr/bin:/usr/local/bin:" + os.environ["PATH"]) or "docker"
        return subprocess.run(
            [client, "--host", self.host, *arguments], check=check, capture_output=True, text=True, timeout=120
        )

    def run(self, name: str, script: str, *options: str) -> str:
        done = self.docker("run", "-d", "--network=none", "--name", name, *options, IMAGE, "/bin/sh", "-c", script)
        return done.stdout.strip()

    def load_image(self) -> None:
        busybox = shutil.which("busybox") or "/bin/busybox"
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(busybox, "bin/busybox")
            for link in LINKS:
                entry = tarfile.TarInfo(f"bin/{link}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(entry)
            for directory in ("tmp", "etc"):
                entry = tarfile.TarInfo(directory)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
                tar.addfile(entry)
        archive = self.directory / "image.tar"
        archive.write_bytes(packed.getvalue())
        self.docker("import", str(archive), IMAGE)

    def names(self) -> list[str]:
        lines = self.docker("ps", "-a", "--format", "{{json .}}").stdout.splitlines()
        return [json.loads(line)["Names"] for line in lines]


@contextmanager
def daemon(directory: Path) -> Iterator[Daemon]:
    """Started, with the image; ended with all its containers."""
    directory.mkdir(parents=True, exist_ok=True)
    one = Daemon(directory)
    one.start()
    try:
        one.load_image()
        yield one
    finally:
        if one.process is not None and one.process.poll() is not None:
            one.start()
        if names := one.names():
            one.docker("rm", "-f", *names, check=False)
        one.stop()
