"""docs/roles.md says what the code does."""

from pathlib import Path

import pytest

from pilothouse.access import BUILTIN_ROLES, Permission

PAGE = (Path(__file__).parents[3] / "docs" / "roles.md").read_text()


@pytest.mark.parametrize("permission", Permission)
def test_every_permission_is_on_the_page(permission):
    """With a line that says what it allows, and whether it can have a scope."""
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{permission.value}` |")]
    assert line.endswith("| yes |" if permission.has_scope else "| no |")


@pytest.mark.parametrize("role", BUILTIN_ROLES.values(), ids=lambda role: role.name)
def test_every_built_in_role_is_on_the_page(role):
    """With exactly its permissions."""
    assert f"| `{role.name}` | {', '.join(f'`{grant}`' for grant in role.grants)} |" in PAGE
