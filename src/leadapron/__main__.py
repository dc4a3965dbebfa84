"""`python -m leadapron`."""

from leadapron.cli.main import run

run()
