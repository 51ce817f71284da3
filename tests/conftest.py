"""Settings and fixtures that every test shares."""

import os

import pytest
from hypothesis import HealthCheck, settings

collect_ignore = ["fuzz", "root_selection.py"]  # what `make fuzz` and `make test-root` run

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores; kernels that tests start inherit this
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def scheduler():
    """Address of a Dask cluster with one worker, which takes seconds to start; its keys are in Dask's settings."""
    from dask import config

    from utils.cluster import connect

    with connect(workers=1) as client, pytest.MonkeyPatch.context() as patch:
        keys = client.security.get_tls_config_for_role("client")
        settings = {"ca-file": keys["ca_file"], "client.cert": keys["cert"], "client.key": keys["key"]}
        for name, value in settings.items():  # for this process, and for kernels that it starts
            variable = f"distributed.comm.tls.{name}".upper().replace(".", "__").replace("-", "_")
            patch.setenv(f"DASK_{variable}", value)
        with config.set({f"distributed.comm.tls.{name}": value for name, value in settings.items()}):
            yield client.scheduler_info()["address"]
