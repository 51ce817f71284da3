"""Settings and fixtures that every test shares."""

import os

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores; kernels that tests start inherit this
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def scheduler():
    """Address of a Dask cluster with one worker, which takes seconds to start."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as local:
        yield local.scheduler_address
