"""`python -m ml.cli` is `mlp`."""

from ml.cli.app import main

main()
