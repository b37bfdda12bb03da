"""Task runners: threads or processes of the run's machine, or a Dask cluster (PROCESSING_RUNNER)."""

from typing import Any

from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from core.config import Settings

LOCAL_DASK_WORKERS = 2


def runner_of(settings: Settings) -> TaskRunner[Any]:
    """The task runner that the setting names; a Dask cluster by its scheduler's address, or `dask` for a local one."""
    at_once, name = settings.processing_tasks, settings.processing_runner
    if name == "threads":
        return ThreadPoolTaskRunner(max_workers=at_once)
    if name == "processes":
        return ProcessPoolTaskRunner(max_workers=at_once)
    from prefect_dask.task_runners import DaskTaskRunner  # takes a second to import

    if name == "dask":
        return DaskTaskRunner(cluster_kwargs={"n_workers": LOCAL_DASK_WORKERS, "threads_per_worker": 1})
    return DaskTaskRunner(address=name)
