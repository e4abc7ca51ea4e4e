"""The pictures of docs/images: a whole Pilothouse, real containers on a Docker daemon of their own, a real Chromium."""

import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench.loggen import SERVICES, lines  # noqa: E402 - from this checkout
from tests.functional.docker_daemon import Daemon, daemon  # noqa: E402
from tests.served import PASSWORD, Served  # noqa: E402

IMAGES = ROOT / "docs/images"
HISTORY, LIVE = 40_000, 60_000
BATCH = 5_000
WIDTHS = {"": (1440, 900), "-phone": (390, 844)}
# So many lines, then a short sleep: about a thousand lines a second in all.
PRINT = "i=0; while IFS= read -r l; do printf '%s\\n' \"$l\"; i=$((i+1)); [ $((i % {at_once})) = 0 ] && sleep 0.2; done"


def labels(service: str) -> dict[str, str]:
    """Those that a compose project's container gets."""
    return {"project": "shop", "container": f"shop-{service}-1", "host": "harbour", "stream": "stdout"}


def push_history(served: Served) -> None:
    """A quarter of an hour of lines, so that the histogram has something to show."""
    waiting: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for ts, service, _, line in lines(HISTORY, time.time_ns(), span_s=900):
        waiting[service].append((ts, line))
        if len(waiting[service]) == BATCH:
            served.push(service, waiting.pop(service), **labels(service))
    for service, rest in waiting.items():
        served.push(service, rest, **labels(service))


def start_containers(docker: Daemon, where: Path) -> None:
    """One for each service, each printing lines of its own."""
    files = {service: (where / f"{service}.log").open("w") for service in SERVICES}
    for _, service, _, line in lines(LIVE, time.time_ns(), seed=11):
        files[service].write(line + "\n")
    for rank, (service, file) in enumerate(files.items()):
        file.close()
        docker.run(
            f"shop-{service}-1", f"{PRINT.format(at_once=max(2, 80 >> rank))} < /lines/{service}.log; sleep 600",
            "--label=com.docker.compose.project=shop", f"--label=com.docker.compose.service={service}",
            f"--volume={where}:/lines:ro",
        )  # fmt: skip


def sign_in(browser: Browser, served: Served, theme: str) -> Page:
    """A signed-in page in a theme."""
    page = browser.new_context(base_url=served.url, color_scheme=theme).new_page()  # type: ignore[arg-type]
    page.goto("/")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Overview").wait_for()
    return page


def take(page: Page, name: str, path: str, theme: str) -> None:
    """A page, wide and on a phone."""
    for suffix, (width, height) in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.goto(path)
        page.wait_for_timeout(3_000)
        page.screenshot(path=IMAGES / f"{name}{suffix}-{theme}.png")


def main() -> None:
    """Take them all."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pilothouse-pictures-") as made:
        where = Path(made)
        (where / "lines").mkdir()
        with daemon(where / "docker") as docker, sync_playwright() as playwright:
            served = Served(
                where / "data", ADMIN_PASSWORD=PASSWORD, DOCKER="true", DOCKER_HOST=docker.host, HOST_NAME="harbour"
            )
            try:
                served.wait_for("ready in")
                push_history(served)
                start_containers(docker, where / "lines")
                time.sleep(10)
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
                for theme in ("dark", "light"):
                    page = sign_in(browser, served, theme)
                    take(page, "logs", "/logs?live=1", theme)
                    take(page, "overview", "/", theme)
                    take(page, "audit", "/audit", theme)
                    take(page, "settings", "/settings/roles", theme)
                browser.close()
            finally:
                served.stop()


if __name__ == "__main__":
    main()
