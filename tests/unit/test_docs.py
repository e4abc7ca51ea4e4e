"""The documentation names what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    ROOT / "sdk/README.md",
    *(ROOT / "examples").glob("*/README.md"),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link and picture is a file of the project."""
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_tests_exist(page: Path) -> None:
    """Each test file that a page names, by its path or its name alone."""
    names = {path.name for part in ("tests", "sdk/tests", "web/src") for path in (ROOT / part).rglob("*test*")}
    named = re.findall(r"`((?:[\w./-]+/)?test_\w+\.py)`", page.read_text())
    assert [one for one in named if not ((ROOT / one).exists() if "/" in one else one in names)] == []


def test_every_test_is_told_of() -> None:
    """A suite that no page names proves a promise that nobody was given."""
    told = "".join(page.read_text() for page in PAGES)
    suites = [path.name for part in ("tests", "sdk/tests") for path in (ROOT / part).rglob("test_*.py")]
    assert [name for name in suites if name not in told] == []
