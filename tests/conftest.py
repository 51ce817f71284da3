"""Settings and fixtures that every test shares."""

import os

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores; kernels that tests start inherit this
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def scheduler():
    """Address of a Dask cluster with one worker, which takes seconds to start."""
    from utils.cluster import connect

    with connect(workers=1) as client:
        yield client.scheduler_info()["address"]
