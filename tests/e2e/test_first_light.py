"""From the one-time link to logging out, as the first administrator does it, in a real Chromium."""

import json
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.served import PASSWORD, Served

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def fresh(tmp_path) -> Iterator[Served]:
    """Started for the first time, with nobody in it."""
    one = Served(tmp_path / "data")
    try:
        yield one
    finally:
        one.stop()


@pytest.fixture
def page(browser: Browser, fresh: Served) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    yield context.new_page()
    context.close()


def test_set_up_search_follow_expand_export_log_out(page, fresh):
    """One session, start to end; the link works once, the address bar never keeps its token."""
    link = re.search(r"http://\S+/setup#token=\S+", fresh.wait_for("/setup#token="))
    assert link

    # Set up.
    page.goto(link.group())
    expect(page.get_by_role("heading", name="Set up Pilothouse")).to_be_visible()
    assert "token" not in page.url
    page.get_by_label("Password", exact=True).fill("short")
    page.get_by_label("Password again").fill("short")
    page.get_by_role("button", name="Make the administrator").click()
    expect(page.get_by_role("alert")).to_contain_text("10")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Make the administrator").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()

    # Log in: the link is used up, a wrong password is refused, the right one leads back to the page asked for.
    page.get_by_role("button", name="You: admin").click()
    page.get_by_role("button", name="Log out").click()
    page.goto(link.group())
    expect(page.get_by_role("heading", name="Already set up")).to_be_visible()
    page.goto(f"{fresh.url}/logs?service=shop")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill("not this one, no")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    now = time.time_ns()
    fresh.push("shop", [
        (now - (20 - n) * 10**9, json.dumps({"level": "error" if n % 5 == 0 else "info", "message": f"order {n} (paid)"}))
        for n in range(20)
    ])  # fmt: skip
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    # Search: what a regular expression would read otherwise is plain text.
    lines = page.get_by_role("list", name="Log lines").get_by_role("listitem")
    expect(lines.last).to_contain_text("order 19")
    page.get_by_role("searchbox", name="Search the lines").fill("order 1 (paid)")
    expect(lines).to_have_count(1)
    page.get_by_role("searchbox", name="Search the lines").fill("")

    # Follow.
    expect(lines.last).to_contain_text("order 19")
    page.keyboard.press("Escape")
    page.locator("body").click(position={"x": 700, "y": 880})
    page.keyboard.press("f")
    expect(page).to_have_url(re.compile("live=1"))
    fresh.push("shop", [(time.time_ns(), '{"level":"warn","message":"just now"}')])
    expect(lines.last).to_contain_text("just now")

    # Expand.
    lines.last.locator(".message").click()
    expect(page.get_by_role("region", name="The line of")).to_contain_text("level")
    page.keyboard.press("Escape")

    # Export.
    page.get_by_role("button", name="Export the whole result").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="NDJSON").click()
    exported = [json.loads(line) for line in download.value.path().read_text().splitlines()]
    assert len(exported) == 21

    # What was done is in the trail, and the trail is whole.
    page.get_by_role("link", name="Audit").first.click()
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()
    expect(page.get_by_role("table")).to_contain_text("logs.export")

    # Log out: the page, its session and its token are gone.
    page.get_by_role("button", name="You: admin").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
