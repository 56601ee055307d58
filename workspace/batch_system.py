"""Which of several processes this one is, by the variables that batch systems and launchers set.

A job array of SLURM, Grid Engine or LSF starts tasks that know their number; `srun`, `torchrun` and MPI's launchers
start processes that know theirs. Both may be at work: then each task of the array has as many processes.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from workspace.errors import UsageError

#: Of processes that are started together: their number, how many they are, and their number on the node, from 0.
_LAUNCHERS = {
    "torchrun": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    "srun": ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    "MPICH": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
}
#: Of the tasks of a job array: the number of this one, the first, the last, and the step.
_ARRAYS = {
    "SLURM": ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_STEP"),
    "Grid Engine": ("SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_LAST", "SGE_TASK_STEPSIZE"),
    # It names no first one: arrays that begin at 1, as in its manual.
    "LSF": ("LSB_JOBINDEX", "", "LSB_JOBINDEX_END", "LSB_JOBINDEX_STEP"),
}
_COUNT_OF_SLURM = "SLURM_ARRAY_TASK_COUNT"
#: Processes that were started on this node; SLURM lists all nodes: "8(x2),4".
_ON_NODE = ("LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_STEP_TASKS_PER_NODE")
_FIRST = re.compile(r"[0-9]+", re.ASCII)
#: Batch systems that number the tasks of an array and do not say how many there are.
_UNCOUNTED = ("PBS_ARRAY_INDEX", "PBS_ARRAYID")
#: What other systems set where a job is no array.
_NO_ARRAY = ("", "undefined", "0")


@dataclass(frozen=True)
class Place:
    """One of several processes, counted from 0."""

    number: int
    count: int


def place_of_process(environment: Mapping[str, str] = os.environ) -> Place:
    """Which process this one is. Raises `UsageError` where no variable tells, with what was looked for, and where they
    contradict each other."""
    array, launched = _array(environment), _launched(environment)
    if array is None and launched is None:
        uncounted = next((name for name in _UNCOUNTED if environment.get(name)), None)
        if uncounted is not None:
            raise UsageError(
                f"--shard auto: PBS does not tell how many tasks the array has; write --shard ${uncounted}/COUNT, "
                "with an array that begins at 1"
            )
        if "SLURM_JOB_ID" in environment:
            return Place(0, 1)
        raise UsageError(
            "--shard auto: no variable tells which process this is; looked for "
            f"{', '.join((*(names[0] for names in _ARRAYS.values()), *(names[0] for names in _LAUNCHERS.values())))}: "
            "start it as a job array, with srun or with torchrun, or write --shard 3/16"
        )
    array, launched = array or Place(0, 1), launched or Place(0, 1)
    return Place(array.number * launched.count + launched.number, array.count * launched.count)


def number_on_node(environment: Mapping[str, str] = os.environ) -> int:
    """The number of this process among those that a launcher started on this node, from 0."""
    for number, count, local in _LAUNCHERS.values():
        if number in environment and count in environment and local in environment:
            return _number(environment, local)
    return 0


def has_others_on_node(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a launcher started several processes on this node, as far as its variables tell."""
    counts = [environment.get(name, "") for name in _ON_NODE]
    return number_on_node(environment) > 0 or any(match[0] != "1" for count in counts if (match := _FIRST.match(count)))


def device_of_process(device: str, shard: str) -> str:
    """The option --device of this process: with `--shard auto`, `auto` is the GPU of its number on the node."""
    return f"auto:{number_on_node()}" if (device, shard) == ("auto", "auto") else device


def _launched(environment: Mapping[str, str]) -> Place | None:
    """Which of the processes that a launcher started."""
    for launcher, (number, count, _) in _LAUNCHERS.items():
        # Of one process SLURM tells no count.
        if number not in environment or count not in environment:
            continue
        place = Place(_number(environment, number), _number(environment, count))
        if not place.number < place.count:
            raise UsageError(f"--shard auto: {number}={place.number} and {count}={place.count} contradict each other")
        is_script = "SLURM_JOB_ID" in environment and "SLURM_STEP_ID" not in environment
        if launcher == "srun" and place.count > 1 and place.number == 0 and is_script:
            raise UsageError(
                f"--shard auto: this job has {place.count} tasks, and this process is the job's script and none of "
                "them: start it with `srun cf-sample --shard auto`, or write --shard 1/1"
            )
        return place
    return None


def _array(environment: Mapping[str, str]) -> Place | None:
    """Which task of a job array."""
    for system, (number, first, last, step) in _ARRAYS.items():
        if environment.get(number, "") in _NO_ARRAY and not (system == "SLURM" and environment.get(number)):
            continue
        width = max(_number(environment, step) if environment.get(step) else 1, 1)
        # Where no first one is named, arrays begin at 1.
        start = _number(environment, first) if environment.get(first) else 1
        if environment.get(last):
            count = (_number(environment, last) - start) // width + 1
        elif system == "SLURM" and environment.get(_COUNT_OF_SLURM):
            count = _number(environment, _COUNT_OF_SLURM)
        else:
            raise UsageError(f"--shard auto: {number} is set and {last} not; write --shard 3/16")
        place, rest = divmod(_number(environment, number) - start, width)
        counted = environment.get(_COUNT_OF_SLURM) if system == "SLURM" else None
        if rest or not 0 <= place < count or counted not in (None, "", str(count)):
            told = ", ".join(f"{name}={environment[name]}" for name in (number, first, last) if environment.get(name))
            raise UsageError(
                f"--shard auto: the tasks of this job array are not evenly numbered ({told}, {counted or count} "
                "tasks), so they do not tell which shard is this one's: submit --array=1-16, or write --shard 3/16"
            )
        return Place(place, count)
    return None


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment[name]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UsageError(f"--shard auto: {name} is {text!r}, which is no number; write --shard 3/16")
    return int(text)
