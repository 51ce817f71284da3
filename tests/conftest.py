"""Settings that every test shares."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores; kernels that tests start inherit this
    os.environ.setdefault("OMP_NUM_THREADS", "1")
