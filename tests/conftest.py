"""What all tests share."""

from __future__ import annotations

import os
import signal

# One thread for each test process, as in the pipelines: at this size a second one costs more than it brings,
# and two processes of two threads each wait for each other. Set before torch and numpy load their libraries.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# A shell that runs the tests in the background has them ignore Ctrl-C, and so would all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
