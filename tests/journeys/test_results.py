"""What comes of it: a table, a report, folders for detectors, a dataset on the Hub."""

import shutil

from localhub.process import HubProcess
from localhub.store import Store
from tests.journeys.test_choosing import IF
from tests.journeys.user import User
from tests.scale import weekly
from tests.small_hub import GENERATORS


def test_i_want_a_page_with_pictures_to_show_my_supervisor(owner: User) -> None:
    (owner.workspace.report / "index.html").unlink()
    said = owner.types("cf-build-manifest")
    page = owner.workspace.report / "index.html"
    assert str(page) in said
    assert page.read_text().count("<img") >= 6


def test_i_want_to_read_it_in_two_lines_of_python(owner: User) -> None:
    said = owner.runs(
        "import community_forensics as cf\nrows = cf.read_manifest('workspace')\nprint(rows.label.sum(), len(rows))"
    )
    assert said.split() == ["6", "9"]


def test_i_want_to_test_on_a_generator_that_was_never_trained_on(owner: User) -> None:
    owner.types(f"cf-build-manifest --holdout name={IF}")
    splits = {(row["model_name"], row["split"]) for row in owner.manifest if row["model_name"]}
    assert (IF, "test") in splits
    assert {split for name, split in splits if name != IF} <= {"train", None}


@weekly("manifests/audit/test_audit.py::test_the_command_audits_files_and_pixels_and_says_what_could_not_be_read")
def test_i_want_to_know_what_gives_generated_images_away(owner: User) -> None:
    assert "AUROC" in owner.types("cf-build-manifest --audit")


def test_i_want_a_folder_of_real_and_fake_images_for_a_detector(owner: User) -> None:
    owner.types("cf-export out --layout 0_real-1_fake")
    for name in GENERATORS:
        folder = owner.folder / "out" / "train" / name.replace("/", "--")
        assert len(list((folder / "0_real").iterdir())) == len(list((folder / "1_fake").iterdir())) == 2


def test_i_want_the_same_images_at_another_quality(owner: User) -> None:
    owner.types("cf-export out --layout imagefolder --jpeg 75")
    original, jpeg = (
        {path.stem for path in (owner.folder / "out" / tree).rglob("*.*") if path.parent.name in ("real", "fake")}
        for tree in ("original", "jpeg75")
    )
    assert original == jpeg
    assert len(original) == 6


def test_i_want_to_see_what_would_be_published(owner: User, hub: HubProcess) -> None:
    said = owner.types("cf-publish me/looked --dry-run")
    assert "9 rows (Real 3, Systematic 6)" in said
    assert not Store(hub.directory).exists("dataset", "me/looked")


def test_i_want_to_share_it_and_read_it_back_with_pandas(owner: User) -> None:
    owner.types("cf-publish me/shared")
    said = owner.runs(
        "import pandas, huggingface_hub as hub\n"
        "folder = hub.snapshot_download('me/shared', repo_type='dataset', allow_patterns='data/*.parquet')\n"
        "rows = pandas.read_parquet(folder + '/data')\n"
        "print(len(rows), rows.sha256.nunique())"
    )
    assert said.split() == ["9", "9"]


@weekly("manifests/restoring/test_restore.py::test_the_commands_of_the_card_complete_a_download_to_the_full_edition")
def test_i_want_to_share_what_i_may_and_others_to_complete_it_from_their_own_copy(owner: User, newcomer: User) -> None:
    owner.types("cf-build-manifest --edition public --license-allow mit,apache-2.0")
    owner.types("cf-publish me/incomplete --public")
    assert {row["label"] for row in owner.manifest} == {1}
    shutil.copytree(owner.folder / "coco", newcomer.folder / "my-coco")
    newcomer.runs(
        "import huggingface_hub as hub\n"
        "hub.snapshot_download('me/incomplete', repo_type='dataset', local_dir='download')"
    )
    newcomer.types("cf-build-manifest --workspace download --restore my-coco")
