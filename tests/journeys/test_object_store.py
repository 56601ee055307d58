"""The five stages and cf-status by their command lines, in a workspace on an object store."""

from pathlib import Path

from localhub.process import HubProcess
from localhub.store import Store
from tests.programs import Programs
from tests.s3 import S3
from workspace.objects.bucket import Bucket


def test_i_want_the_whole_run_in_a_bucket(
    s3: S3,
    captioned: Path,
    hub: HubProcess,
    programs: Programs,
    sampled_once: dict[str, bytes],
    tmp_path: Path,
) -> None:
    address = s3.address()
    on_s3 = {**s3.environment, "CF_WORKSPACE": address, "CF_CACHE_DIR": str(tmp_path / "node")}
    said = ""
    for line in (
        "cf-crawl --limit 50",
        "cf-caption --source coco=coco",
        "cf-sample --images 2 --store files",
        "cf-status",
        "cf-build-manifest",
        "cf-publish me/from-bucket",
        f"cf-export {tmp_path / 'out'} --layout real-fake",
    ):
        ended = programs.end_of(*line.split(), folder=captioned, **on_s3)
        assert ended.code == 0, f"$ {line}\n{ended.out}\n{ended.err}"
        said += ended.out + ended.err
    bucket = Bucket(address)
    names = set(bucket.listing())
    assert {"recipe.toml", "catalog.parquet", "manifest/manifest.parquet", "report/index.html"} <= names
    images = {name: (bucket.read(name) or (b"",))[0] for name in names if name.startswith("images/")}
    assert sorted(images.values()) == sorted(sampled_once.values())
    assert not [name for name in names if name.startswith(".locks/")]
    assert Store(hub.directory).exists("dataset", "me/from-bucket")
    assert s3.environment["AWS_SECRET_ACCESS_KEY"] not in said
    for line in ("cf-remove a/b --reason licence", "cf-status --serve 0", f"cf-merge {address} other"):
        ended = programs.end_of(*line.split(), folder=captioned, **on_s3)
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
        assert "works on a folder only" in ended.err
