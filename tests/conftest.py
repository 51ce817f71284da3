"""Settings and fixtures that every test shares."""

import os

import pytest
from hypothesis import HealthCheck, settings

collect_ignore = ["fuzz"]  # `make fuzz` runs these

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores; kernels that tests start inherit this
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def scheduler():
    """Address of a Dask cluster with one worker, which takes seconds to start."""
    from utils.cluster import connect

    with connect(workers=1) as client:
        yield client.scheduler_info()["address"]
