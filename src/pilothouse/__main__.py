"""`python -m pilothouse`: the processes start from here without loading the command line's own libraries."""

import sys

from pilothouse import process


def main() -> None:
    """Run a process (or the one-off `init`) by its name alone, or hand over to the command line."""
    if len(sys.argv) == 2 and sys.argv[1] in process.NAMES:
        process.run(sys.argv[1])
        return
    if sys.argv[1:] == ["init"]:
        process.init()
        return
    from pilothouse.cli.main import main as command_line  # noqa: PLC0415 - only where it is wanted

    command_line()


if __name__ == "__main__":
    main()
