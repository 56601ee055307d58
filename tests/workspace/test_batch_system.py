"""`--shard auto` is what the batch system and the launcher tell, or an error that says what was looked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace.batch_system import Place, number_on_node, place_of_process
from workspace.errors import UsageError
from workspace.shard import Shard


def slurm_array(number: int, first: int, last: int, step: int = 1) -> dict[str, str]:
    count = (last - first) // step + 1
    values = {"ID": number, "MIN": first, "MAX": last, "STEP": step, "COUNT": count}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()} | {"SLURM_JOB_ID": "77"}


@given(st.integers(0, 50), st.integers(1, 9), st.integers(1, 40))
def test_the_tasks_of_any_evenly_numbered_array_have_all_shards_once(first: int, step: int, count: int) -> None:
    numbers = range(first, first + step * count, step)
    places = [place_of_process(slurm_array(number, first, numbers[-1], step)) for number in numbers]
    assert places == [Place(place, count) for place in range(count)]


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "16", "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}, Place(2, 16)),
        ({"RANK": "0", "WORLD_SIZE": "4", "LOCAL_RANK": "0"}, Place(0, 4)),
        # torchrun started it, which srun started once a node.
        ({"RANK": "9", "WORLD_SIZE": "16", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, Place(9, 16)),
        # Four processes in each of three tasks.
        (slurm_array(2, 1, 3) | {"SLURM_PROCID": "1", "SLURM_NTASKS": "4", "SLURM_STEP_ID": "0"}, Place(5, 12)),
        (slurm_array(2, 0, 7) | {"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, Place(2, 8)),
        ({"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "3"}, Place(1, 3)),
        ({"SLURM_JOB_ID": "7"}, Place(0, 1)),
        ({"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, Place(0, 1)),
        ({"SGE_TASK_ID": "5", "SGE_TASK_FIRST": "1", "SGE_TASK_LAST": "9", "SGE_TASK_STEPSIZE": "2"}, Place(2, 5)),
        ({"LSB_JOBINDEX": "3", "LSB_JOBINDEX_END": "16", "LSB_JOBINDEX_STEP": "1"}, Place(2, 16)),
        ({"SGE_TASK_ID": "undefined", "RANK": "1", "WORLD_SIZE": "2"}, Place(1, 2)),
        ({"LSB_JOBINDEX": "0", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "3"}, Place(1, 3)),
        ({"PMI_RANK": "1", "PMI_SIZE": "3"}, Place(1, 3)),
    ],
)  # fmt: skip
def test_the_place_of_a_process(environment: dict[str, str], place: Place) -> None:
    assert place_of_process(environment) == place


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, r"looked for SLURM_ARRAY_TASK_ID, .*SLURM_PROCID.*: start it as a job array, with srun or .*--shard 3/16"),
        ({"PBS_ARRAY_INDEX": "3"}, r"PBS does not tell how many .*--shard \$PBS_ARRAY_INDEX/COUNT"),
        ({"SLURM_ARRAY_TASK_ID": "3"}, "SLURM_ARRAY_TASK_MAX not"),
        (slurm_array(3, 3, 9) | {"SLURM_ARRAY_TASK_COUNT": "2"}, r"not evenly numbered .*, 2 tasks\)"),
        (slurm_array(4, 1, 9, 2), "not evenly numbered"),
        (slurm_array(12, 1, 9), "not evenly numbered"),
        ({"RANK": "4", "WORLD_SIZE": "4"}, "RANK=4 and WORLD_SIZE=4 contradict"),
        ({"RANK": "-1", "WORLD_SIZE": "4"}, "RANK is '-1', which is no number"),
        ({"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, "start it with `srun cf-sample"),
    ],
)
def test_what_tells_no_place_is_refused_with_what_to_do(environment: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=f"--shard auto: .*{message}"):
        place_of_process(environment)


def test_the_number_on_the_node_is_that_of_the_launcher() -> None:
    assert number_on_node({}) == 0
    assert number_on_node({"SLURM_PROCID": "9", "SLURM_NTASKS": "16", "SLURM_LOCALID": "1"}) == 1
    torchrun = {"RANK": "9", "WORLD_SIZE": "16", "LOCAL_RANK": "3"}
    assert number_on_node({"SLURM_PROCID": "1", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0"} | torchrun) == 3


def test_auto_is_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "16")
    assert str(Shard.parse("auto")) == "3/16"


@given(st.integers(1, 9), st.integers(1, 9), st.lists(st.integers()))
def test_the_parts_of_all_shards_have_every_item_once(count: int, parts: int, items: list[int]) -> None:
    shards = [Shard(index, count).part(part, parts) for index in range(1, count + 1) for part in range(1, parts + 1)]
    assert [Shard.parse(str(shard)) for shard in shards] == shards
    assert sorted(item for shard in shards for item in shard.of(items)) == sorted(items)
