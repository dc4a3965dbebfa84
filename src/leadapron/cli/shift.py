"""`python -m leadapron.cli.shift FD`: a shift of a worker, begun by `leadapron.cluster.job` and by nobody else."""

from __future__ import annotations

import logging
import sys

from leadapron.cli.unasked import log_without_values, say_no_values
from leadapron.settings import protect_process

if __name__ == "__main__":
    say_no_values()
    protect_process()
    log_without_values(logging.WARNING)

    from leadapron.cluster.job import main

    main(int(sys.argv[1]))
