"""The Logs page in a real Chromium, on a real Pilothouse with real lines: what a reader sees, presses and types."""

import json
import re
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

Push = Callable[..., None]
MINUTE = 60 * 10**9


def params(page: Page) -> dict[str, list[str]]:
    """What the address says after `?`."""
    return parse_qs(urlsplit(page.url).query)


def rows(page: Page):
    """The lines that are drawn."""
    return page.get_by_role("list", name="Log lines").get_by_role("listitem")


def foot(page: Page):
    """The sentence under the list."""
    return page.locator("footer").get_by_role("status")


@pytest.fixture
def shop(push: Push) -> str:
    """A service of its own with forty known lines in the last minutes; gives its name."""
    name = f"shop-{time.time_ns():x}"
    now = time.time_ns()
    lines = []
    for n in range(40):
        level = ("info", "info", "warn", "error")[n % 4]
        body = {
            "level": level,
            "message": f"order {n} took {n * 7} ms",
            "status": 200 + 100 * (n % 4),
            "path": f"/p/{n % 3}",
        }
        lines.append((now - (40 - n) * 10**9, json.dumps(body)))
    push(name, lines, container=f"{name}-1")
    return name


@pytest.fixture
def logs(signed_in: Page, shop: str) -> Page:
    """The page on that service."""
    signed_in.goto(f"/logs?service={shop}")
    expect(rows(signed_in).last).to_contain_text("order 39")
    return signed_in


def test_lines_are_there_with_what_was_searched_said(logs):
    """The newest line is in view, JSON shows its message and the rest as fields, the foot counts all."""
    expect(foot(logs)).to_contain_text("40 lines")
    expect(rows(logs).last).to_contain_text("order 39 took 273 ms")
    expect(rows(logs).last).to_contain_text("status=500")
    expect(rows(logs).last).not_to_contain_text("{")


def test_search_marks_what_it_found_and_stands_in_the_address(logs):
    """`/` goes to the field; what is typed narrows the list, is marked, and Back undoes it as one step."""
    logs.keyboard.press("/")
    logs.keyboard.type("order 1")
    expect(foot(logs)).to_contain_text("11 lines")
    expect(logs.locator("mark").first).to_have_text("order 1")
    assert params(logs)["q"] == ["order 1"]
    logs.go_back()
    expect(foot(logs)).to_contain_text("40 lines")
    expect(logs.get_by_role("searchbox", name="Search the lines")).to_have_value("")


def test_special_characters_are_plain_text_unless_asked(logs):
    """Dots and brackets find themselves; with the switch they are a regular expression, and a bad one says so."""
    field = logs.get_by_role("searchbox", name="Search the lines")
    field.fill("order .* took")
    expect(logs.get_by_text("No lines match")).to_be_visible()
    logs.get_by_role("button", name="Regular expression").click()
    expect(foot(logs)).to_contain_text("40 lines")
    field.fill("order (")
    expect(logs.get_by_role("alert")).to_contain_text("regex", ignore_case=True)


def test_a_level_is_one_press_and_so_is_e(logs):
    """Pressing a level filters by it; `e` gives errors only, and again takes that back."""
    logs.get_by_role("button", name=re.compile("^warn")).click()
    expect(foot(logs)).to_contain_text("10 lines")
    assert params(logs)["level"] == ["warn"]
    logs.keyboard.press("e")
    expect(rows(logs).last).to_contain_text("order 39")
    assert params(logs)["level"] == ["error"]
    logs.keyboard.press("e")
    expect(foot(logs)).to_contain_text("40 lines")


def test_words_and_logql_are_one_question(logs, shop):
    """The LogQL form shows what words and chips say; what is changed there shows as chips."""
    logs.get_by_role("searchbox", name="Search the lines").fill("order 3")
    expect(foot(logs)).to_contain_text("11 lines")
    logs.get_by_role("button", name="LogQL").click()
    editor = logs.get_by_role("textbox", name="LogQL query")
    expect(editor).to_have_text(f'{{service_name="{shop}"}} |~ "(?i)order 3"')
    editor.press("End")
    logs.keyboard.type(' | json | status="500"', delay=5)
    logs.keyboard.press("Escape")
    logs.keyboard.press("Enter")
    expect(foot(logs)).to_contain_text("4 lines")
    logs.get_by_role("button", name="Words").click()
    expect(logs.get_by_role("button", name="Remove status 500")).to_be_visible()
    logs.get_by_role("button", name="Remove status 500").click()
    expect(foot(logs)).to_contain_text("11 lines")


def test_a_wrong_query_is_underlined_where_it_is_wrong(logs):
    """The server's line and column become a mark in the editor; the old answer stays."""
    logs.goto("/logs?query=" + '{service_name="a"} | | json')
    expect(logs.locator(".cm-lintRange-error")).to_be_visible()
    expect(logs.get_by_role("alert")).to_contain_text("line 1, col 22")


def test_a_query_that_counts_shows_series(logs, shop):
    """A metric query gives a picture and a table of its series."""
    logs.goto(f'/logs?query=sum by (detected_level) (count_over_time({{service_name="{shop}"}}[1m]))')
    expect(logs.get_by_role("row", name=re.compile("error"))).to_be_visible()


def test_a_line_opens_to_its_fields_and_narrows_by_them(logs):
    """Enter opens the line that keys stand on; `only` filters by a field; `not` turns it around; Escape closes."""
    logs.keyboard.press("k")
    logs.keyboard.press("k")
    logs.keyboard.press("Enter")
    detail = logs.get_by_role("region", name="The line of")
    expect(detail).to_be_visible()
    assert re.fullmatch("[0-9a-f]{32}", params(logs)["line"][0])
    logs.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    rows(logs).last.locator(".message").click()
    logs.get_by_role("button", name="only this status").click()
    expect(foot(logs)).to_contain_text("10 lines")
    rows(logs).last.locator(".message").click()
    logs.get_by_role("button", name="not this path").click()
    assert set(params(logs)) >= {"only", "not"}


def test_what_lines_hold_is_text(signed_in, push):
    """Markup is shown and never run; terminal colours become classes; a stack trace folds to its head."""
    name = f"wild-{time.time_ns():x}"
    now = time.time_ns() - 5 * 10**9
    push(name, [
        (now, "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"),
        (now + 1, "\x1b[1;31mred\x1b[0m and \x1b]0;title\x07plain \x1b[32mgreen"),
        (now + 2, "Error: boom\n    at f (a.js:1)\n    at g (b.js:2)"),
        (now + 3, "žluťoučký 日本語 👩‍👩‍👧 end"),
        (now + 4, "x" * 200_000 + "NEEDLE" + "y" * 1000),
    ])  # fmt: skip
    signed_in.goto(f"/logs?service={name}")
    expect(rows(signed_in)).to_have_count(5)
    assert signed_in.evaluate("window.pwned") is None
    expect(rows(signed_in).nth(0)).to_contain_text("<script>window.pwned = 1</script>")
    expect(signed_in.locator(".a-b.a-f1")).to_have_text("red")
    expect(rows(signed_in).nth(1)).to_contain_text("red and plain green")
    expect(rows(signed_in).nth(2)).not_to_contain_text("at f")
    signed_in.get_by_role("button", name="+2").click()
    expect(rows(signed_in).nth(2)).to_contain_text("at g (b.js:2)")
    expect(rows(signed_in).nth(3)).to_contain_text("žluťoučký 日本語")
    signed_in.get_by_role("searchbox", name="Search the lines").fill("needle")
    expect(signed_in.locator("mark")).to_have_text("NEEDLE")


def test_lines_around_show_what_the_filter_hid(logs):
    """The lines around one are those of its writer, whatever was searched."""
    logs.get_by_role("searchbox", name="Search the lines").fill("order 20 ")
    expect(rows(logs)).to_have_count(1)
    rows(logs).first.locator(".message").click()
    logs.get_by_role("button", name="Lines around").click()
    around = logs.get_by_role("dialog")
    expect(around).to_contain_text("order 19")
    expect(around).to_contain_text("order 21")
    expect(around.locator("[aria-current]")).to_contain_text("order 20")


def test_a_link_shows_another_reader_the_same(logs, context):
    """A line's link opens the same line in another window, with an absolute range."""
    rows(logs).nth(-3).locator(".message").click()
    wanted = logs.get_by_role("region", name="The line of").get_attribute("aria-label")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    logs.get_by_role("button", name="Link").click()
    link = logs.evaluate("navigator.clipboard.readText()")
    other = context.new_page()
    other.goto(link)
    expect(other.get_by_role("region", name=wanted)).to_be_in_viewport()


def test_drag_on_the_histogram_zooms_and_back_undoes_it(logs):
    """Dragging over bars narrows the range to them; Back gives the old one."""
    before = logs.url
    bars = logs.get_by_role("application")
    box = bars.bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    logs.mouse.move(box["x"] + box["width"] * 0.5, y)
    logs.mouse.down()
    logs.mouse.move(box["x"] + box["width"] * 0.75, y, steps=5)
    logs.mouse.up()
    expect(logs).not_to_have_url(before)
    expect(logs.get_by_text("No logs from")).to_be_visible()
    logs.go_back()
    expect(rows(logs).last).to_contain_text("order 39")


def test_an_empty_answer_says_why_and_where_to_go(signed_in, push):
    """Where the range holds nothing, the page says when the last line came and goes there."""
    name = f"old-{time.time_ns():x}"
    push(name, [(time.time_ns() - 180 * MINUTE, "the last words")])
    signed_in.goto(f"/logs?service={name}")
    expect(signed_in.get_by_text("The last one came 3 h ago")).to_be_visible()
    signed_in.get_by_role("button", name="Go there").click()
    expect(rows(signed_in).last).to_contain_text("the last words")


def test_live_follows_and_holds_still_for_a_reader(logs, push, shop):
    """New lines come by themselves; scrolling up stops that without moving the text; the pill counts and leads back."""
    logs.keyboard.press("f")
    push(shop, [(time.time_ns(), f"live {n}") for n in range(60)])
    expect(rows(logs).last).to_contain_text("live 59")
    logs.get_by_role("list", name="Log lines").hover()
    logs.mouse.wheel(0, -600)
    still = rows(logs).filter(has_text="live 20")
    expect(still).to_be_in_viewport()
    before = still.bounding_box()
    push(shop, [(time.time_ns(), f"later {n}") for n in range(30)])
    pill = logs.get_by_role("button", name="30 new lines")
    expect(pill).to_be_visible()
    assert still.bounding_box() == before
    pill.click()
    expect(rows(logs).last).to_contain_text("later 29")
    expect(pill).to_be_hidden()


def test_a_lost_connection_says_so_and_misses_nothing(signed_in, push, shop):
    """A socket that breaks is told of at once; what came meanwhile is there after it, each line once."""
    sockets: list[WebSocketRoute] = []
    signed_in.route_web_socket(re.compile("/ws/logs"), lambda ws: (sockets.append(ws), ws.connect_to_server()))
    signed_in.goto(f"/logs?service={shop}&live=1")
    expect(rows(signed_in).last).to_contain_text("order 39")
    push(shop, [(time.time_ns(), "before it broke")])
    expect(rows(signed_in).last).to_contain_text("before it broke")
    sockets[-1].close(code=3000, reason="")
    expect(signed_in.get_by_role("alert")).to_contain_text("Not live")
    push(shop, [(time.time_ns(), f"meanwhile {n}") for n in range(5)])
    expect(rows(signed_in).last).to_contain_text("meanwhile 4")
    expect(signed_in.get_by_role("alert")).to_be_hidden()
    texts = [t for t in rows(signed_in).all_inner_texts() if "meanwhile" in t or "before it broke" in t]
    assert len(texts) == 6


def test_a_gap_is_a_row_that_can_be_filled(signed_in, push, shop):
    """Lines that were skipped leave a row that says how many; pressing it puts them in their place."""
    held: dict[str, str] = {}

    def thin(ws: WebSocketRoute) -> None:
        server = ws.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            frame = json.loads(message)
            lines = frame.get("lines", [])
            skipped = [line for line in lines if "skipped" in line["message"]]
            if skipped:
                held["from"], held["to"] = skipped[0]["timestamp"], skipped[-1]["timestamp"]
                gap = {"type": "gap", **held, "dropped": len(skipped), "reason": "too slow"}
                ws.send(json.dumps(gap))
                frame["lines"] = [line for line in lines if line not in skipped]
            ws.send(json.dumps(frame))

        server.on_message(pass_on)

    signed_in.route_web_socket(re.compile("/ws/logs"), thin)
    signed_in.goto(f"/logs?service={shop}&live=1")
    expect(rows(signed_in).last).to_contain_text("order 39")
    now = time.time_ns()
    push(shop, [(now + n, f"skipped {n}") for n in range(7)])
    gap = signed_in.get_by_text("7 lines skipped")
    expect(gap).to_be_visible()
    signed_in.get_by_role("button", name="Load them").click()
    expect(rows(signed_in).filter(has_text="skipped")).to_have_count(7)
    expect(gap).to_be_hidden()


@pytest.mark.parametrize(("choice", "ending"), [("Text", "log"), ("NDJSON", "ndjson"), ("CSV", "csv")])
def test_export_gives_the_whole_result(logs, choice, ending):
    """Each format holds every line of the search, oldest first, and no other."""
    logs.get_by_role("searchbox", name="Search the lines").fill("order 1")
    expect(foot(logs)).to_contain_text("11 lines")
    logs.get_by_role("button", name="Export the whole result").click()
    with logs.expect_download() as download:
        logs.get_by_role("button", name=choice).click()
    assert download.value.suggested_filename.endswith(f".{ending}")
    text = download.value.path().read_text()
    assert re.findall(r"order (\d+) took", text) == ["1", *map(str, range(10, 20))]


def test_a_search_can_be_kept(logs):
    """A saved search comes back under its name after a reload."""
    logs.get_by_role("searchbox", name="Search the lines").fill("order 7")
    expect(foot(logs)).to_contain_text("1 line")
    logs.get_by_role("button", name="Saved searches").click()
    logs.get_by_role("textbox", name="Name of this search").fill("sevens")
    logs.get_by_role("button", name="Save", exact=True).click()
    logs.goto("/logs")
    logs.get_by_role("button", name="Saved searches").click()
    logs.get_by_role("button", name="sevens", exact=True).click()
    expect(rows(logs)).to_have_count(1)
    assert params(logs)["q"] == ["order 7"]


def test_signing_out_elsewhere_ends_the_tail(logs, sign_out_everywhere):
    """Within two seconds of the session's end the page stops following and says why."""
    logs.keyboard.press("f")
    expect(logs).to_have_url(re.compile("live=1"))
    sign_out_everywhere()
    expect(logs.get_by_text(re.compile("session has ended|Sign in")).first).to_be_visible(timeout=4000)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_is_open_to_all(logs, axe, theme, width):
    """No serious finding of axe, in both themes, wide and narrow, with a line open; nothing scrolls sideways."""
    logs.emulate_media(color_scheme=theme)
    logs.set_viewport_size({"width": width, "height": 844})
    rows(logs).last.locator(".message").click()
    expect(logs.get_by_role("region", name="The line of")).to_be_visible()
    assert axe(logs) == []
    assert logs.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_on_a_phone_filters_are_a_sheet(logs):
    """At 390 px the filters hide behind a button and come up as a sheet."""
    logs.set_viewport_size({"width": 390, "height": 844})
    level = logs.get_by_role("button", name=re.compile("^error"))
    expect(level).to_be_hidden()
    logs.get_by_role("button", name=re.compile("Filters")).click()
    level.click()
    logs.get_by_role("button", name="Done").click()
    expect(foot(logs)).to_contain_text("10 lines")
