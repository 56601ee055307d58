"""Sampling as a SLURM job array from Python, with submitit (`pip install submitit`), for those who use it already.

    python deploy/slurm/submitit_sample.py /shared/run-1 16

submitit signals a task before its time limit. Sampling then stops in order, and `checkpoint` says how to continue: the
same task again.
"""

import sys
from pathlib import Path
from typing import Any

import community_forensics as cf


class Shard:
    """One shard of the sampling, as submitit calls and continues it."""

    def __call__(self, workspace: str, shard: str) -> int:
        """Sample the shard; returns the number of generators that did not fail."""
        report = cf.sample(workspace, cf.SampleOptions(shard=shard))
        return sum(not outcome.failed for outcome in report.outcomes)

    def checkpoint(self, workspace: str, shard: str) -> Any:
        """What to submit when the time is over: the same again, as finished images are kept."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(Shard(), workspace, shard)


def main(workspace: str, count: int) -> None:
    """Submit one task for each shard."""
    import submitit

    executor = submitit.AutoExecutor(folder=Path(workspace) / "logs" / "submitit")
    executor.update_parameters(
        name="cf-sample",
        gpus_per_node=1,
        cpus_per_task=8,
        mem_gb=64,
        timeout_min=24 * 60,
        slurm_array_parallelism=count,
    )
    shards = [f"{index}/{count}" for index in range(1, count + 1)]
    for job in executor.map_array(Shard(), [workspace] * count, shards):
        print(job.job_id)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
