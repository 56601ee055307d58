"""A dataset that is published twice, as a full and as a public edition, and downloaded; and what a folder has then."""

import hashlib
import shutil
import tarfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import snapshot_download

from localhub.process import HubProcess
from manifests.building import build
from manifests.options import BuildOptions, Edition, LayoutName, PublishOptions
from manifests.publishing.checksums import checksums_text, parse_checksums
from manifests.publishing.publish import publish_dataset
from manifests.tables.withheld import WithheldRow
from tests.manifests.making import Builder
from tests.manifests.publishing.publishing import WRITER
from workspace import records
from workspace.layout import Workspace

LIST = "metadata/real_images.parquet"
LOCKED = 13
EDITIONS: tuple[Edition, ...] = ("full", "public")


@dataclass(frozen=True)
class Downloads:
    """The downloads of both editions, and the real images of the full one."""

    full: Path
    public: Path
    name: str
    real: Path

    def copy_of_public(self, folder: Path) -> Path:
        """A download that a test may change."""
        shutil.copytree(self.public, folder)
        return folder


def download_editions(hub: HubProcess, folder: Path, layout: LayoutName, free: bool) -> Downloads:
    """Generators without common ancestors, one held out and one for validation; `free`: some real images may be passed
    on."""
    builder = Builder(Workspace.open(folder / "workspace"), salt=f"{layout} {free}")
    prompts = [builder.real("photos", number) for number in range(4)] if free else []
    link = "https://locked.example/terms"
    facts = {
        "real_jpeg_quality": 80,
        "real_chroma_subsampling": "4:2:0",
        "real_progressive": True,
        "real_has_exif": True,
    }
    locked = [
        builder.real("locked", number, False, license=None, license_link=link, real_mode="RGB", **facts)
        for number in range(100, 100 + LOCKED)
    ]
    # The last one is no prompt, but one more generated image than there are prompts asks for a further real image; and
    # the first one is in a source without such terms too.
    prompts += locked[:-1]
    builder.prompts["again"] = [replace(locked[0], prompt_id="again/1", real_source="again", redistributable=True)]
    prompts += [
        builder.real("unsure", number, None, caption_origin="generated", prompt=f"an uncertain thing {number}")
        for number in range(3)
    ]
    archive = folder / "real/photos.tar"
    with tarfile.open(archive, "w") as tar:
        for number in range(2):
            content = builder.real("packed", number, redistributable=False, prompt=f"a packed thing {number}")
            tar.add(content.real_path, f"{number}.png")
    for number, prompt in enumerate(builder.prompts["packed"]):
        inside = replace(prompt, real_id=f"photos.tar#{number}.png", real_path=f"{archive}#{number}.png")
        builder.prompts["packed"][number] = inside
        prompts.append(inside)
    painter = builder.generator("org/painter", base_model=None, lineage=())
    sketcher = builder.generator("org/sketcher", base_model=None, lineage=())
    validated = builder.generator("org/validated", base_model=None, lineage=())
    for number, prompt in enumerate(prompts):
        builder.sample((sketcher, painter, validated if number == 5 else painter)[number % 3], prompt)
    builder.sample(painter, prompts[1])
    workspace = builder.write()
    name = f"org/{layout}-{'some' if free else 'none'}-free"
    for edition in EDITIONS:
        build(
            workspace, BuildOptions(edition=edition, holdout=("name=org/sketcher",), validation=("name=org/validated",))
        )
        options = PublishOptions(public=edition == "public", layout=layout, endpoint=hub.endpoint, token=WRITER)
        publish_dataset(workspace, f"{name}-{edition}", options)
        snapshot_download(
            f"{name}-{edition}", repo_type="dataset", local_dir=folder / edition, endpoint=hub.endpoint, token=WRITER
        )
    return Downloads(folder / "full", folder / "public", f"{name}-public", folder / "real")


def rows(folder: Path) -> Counter[str]:
    """All rows of a downloaded dataset, every column and byte of them."""
    found: Counter[str] = Counter()
    for path in sorted((folder / "data").glob("*.parquet")):
        split = path.name.rpartition("-")[0]
        found.update(f"{split} {row!r}" for row in pq.read_table(path).to_pylist())
    return found


def state(folder: Path) -> dict[str, tuple[str, int]]:
    """Hash and time of change of every file, hidden ones too."""
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and ".cache" not in path.parts
    }


def with_list(folder: Path, listed: list[WithheldRow] | pa.Table) -> None:
    """Give the download another list, and a sum that goes with it, as who publishes it can."""
    if isinstance(listed, pa.Table):
        pq.write_table(listed, folder / LIST)
    else:
        records.write(folder / LIST, WithheldRow, listed)
    sums = parse_checksums((folder / "SHA256SUMS").read_bytes())
    sums[LIST] = hashlib.sha256((folder / LIST).read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_bytes(checksums_text(sums))
