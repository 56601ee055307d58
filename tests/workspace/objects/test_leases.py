"""Claims as objects: one holder at a time, free again when its process is silent, by the server's clock."""

import time
from collections.abc import Iterator

import pytest

from tests.s3 import S3
from workspace import process_folder
from workspace.errors import CommunityForensicsError
from workspace.objects.bucket import Bucket
from workspace.objects.leases import Leases


def _process(number: int) -> str:
    return f"process-{number:016x}-{number}-1700000000-{number:08x}"


@pytest.fixture
def bucket(s3: S3) -> Bucket:
    return Bucket(s3.address())


@pytest.fixture
def two(bucket: Bucket) -> Iterator[tuple[Leases, Leases]]:
    first, second = Leases(bucket, "sample", _process(1)), Leases(bucket, "sample", _process(2))
    yield first, second
    first.stop()
    second.stop()


def test_a_claim_has_one_holder_until_it_is_released(two: tuple[Leases, Leases], bucket: Bucket) -> None:
    first, second = two
    assert first.take("org/name~128")
    assert not second.take("org/name~128")
    assert not second.is_free("org/name~128")
    assert second.holder("org/name~128").startswith(": process ")
    assert second.names() == {"org--name~128"}
    assert second.take("org/name")
    first.release("org/name~128")
    assert second.take("org/name~128")
    first.stop()
    second.stop()
    assert bucket.listing() == {}


def test_the_claim_of_a_silent_process_is_taken_over_by_one_and_the_silent_one_knows(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_folder, "SILENT_SECONDS", 2.0)
    stopped = Leases(bucket, "sample", _process(1))
    assert stopped.take("org/name")
    # As a process that was stopped: it gives no more signs.
    stopped._stopping.set()
    others = [Leases(bucket, "sample", _process(number)) for number in (2, 3)]
    assert not others[0].take("org/name")
    deadline = time.monotonic() + 20
    while not others[0].is_free("org/name"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert [one.take("org/name") for one in others] == [True, False]
    assert stopped.is_lost("org/name")
    others[1].remove_dead()
    assert _process(1) not in str(bucket.listing())
    # When it continues, the first that it does may be a sign of life.
    stopped._beat()
    assert stopped.is_lost("org/name")
    stopped.release("org/name")
    assert not others[1].take("org/name")
    for one in (stopped, *others):
        one.stop()


def test_a_lock_that_is_not_free_in_time_names_its_holder(two: tuple[Leases, Leases]) -> None:
    first, second = two
    with (
        first.lock("lock", 1),
        pytest.raises(CommunityForensicsError, match="another process is at work") as refused,
        second.lock("lock", 0.2),
    ):
        pass
    assert "\n" not in str(refused.value)
    with second.lock("lock", 1):
        pass
