"""A real Chromium in front of a whole Pilothouse."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from tests.served import PASSWORD, Served

AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
SERIOUS = {"serious", "critical"}
expect.set_options(timeout=15_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for a module: a loop of Playwright's own must not outlive it, or other tests' loops can't run."""
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Set up, with its administrator."""
    one = Served(tmp_path_factory.mktemp("e2e") / "data", ADMIN_PASSWORD=PASSWORD)
    try:
        one.wait_for("ready in")
        yield one
    finally:
        one.stop()


@pytest.fixture
def push(served: Served) -> Callable[..., None]:
    return served.push


@pytest.fixture
def context(browser: Browser, served: Served) -> Iterator[BrowserContext]:
    one = browser.new_context(base_url=served.url, viewport={"width": 1440, "height": 900}, accept_downloads=True)
    problems: list[str] = []
    one.on("weberror", lambda problem: problems.append(str(problem.error)))
    yield one
    one.close()
    assert problems == []


def sign_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


@pytest.fixture
def signed_in(context: BrowserContext) -> Page:
    page = context.new_page()
    sign_in(page)
    return page


@pytest.fixture
def sign_out_everywhere(served: Served) -> Callable[[], None]:
    """Ends all sessions of the administrator, by the API."""

    def end() -> None:
        for session in served.call("GET", "/api/v1/auth/sessions")["sessions"]:
            if not session["current"]:
                served.call("DELETE", f"/api/v1/auth/sessions/{session['id']}")

    return end


@pytest.fixture
def axe() -> Callable[[Page], list[str]]:
    """What axe finds that is serious, as rule and element."""

    def look(page: Page) -> list[str]:
        # By the debugger's way in: the page's own policy lets no script in from elsewhere.
        page.evaluate(AXE.read_text() + "; undefined")
        found = json.loads(page.evaluate("axe.run().then((result) => JSON.stringify(result.violations))"))
        return [
            f"{one['id']}: {' '.join(node['html'].split())[:200]}"
            for one in found
            if one["impact"] in SERIOUS
            for node in one["nodes"]
        ]

    return look
