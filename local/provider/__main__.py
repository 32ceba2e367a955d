"""Command line: `serve [ENGINE]` is called by the engine, `install DIR` writes the plugin folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from local.provider.packaging import install


def main() -> None:
    """Run the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m local.provider", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="answer the Pulumi engine (it starts this by itself)")
    serving.add_argument("engine", nargs="?", help="address of the engine")
    installing = commands.add_parser("install", help="write the plugin folder")
    installing.add_argument("directory", type=Path)
    # The engine may add flags of its own, for logging and tracing.
    arguments, _ = parser.parse_known_args()
    if arguments.command == "install":
        print(install(arguments.directory))
        return
    from local.provider.server import serve  # imports gRPC, which `install` need not pay for

    serve(arguments.engine)


if __name__ == "__main__":
    main()
