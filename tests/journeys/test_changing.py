"""Images made again, and joined from two machines."""

import shutil

from tests.journeys.test_choosing import DDPM, DIT
from tests.journeys.user import User
from tests.scale import weekly
from workspace.layout import Workspace, generator_folder


def test_i_want_to_show_that_an_image_can_be_made_again(owner: User) -> None:
    path = f"{generator_folder(DIT)}/00000000.png"
    owner.types(f"cf-sample --remake {DIT}/00000000.png --into again")
    assert (owner.folder / "again" / path).read_bytes() == owner.images[f"images/{path}"]


def test_i_want_every_image_of_a_table_made_again(owner: User) -> None:
    owner.runs(
        "import community_forensics as cf\n"
        "rows = cf.read_manifest('workspace')\n"
        f"rows[rows.model_name == '{DDPM}'].to_csv('rows.csv', index=False)"
    )
    owner.types("cf-sample --remake rows.csv --into again")
    again = {path.name: path.read_bytes() for path in (owner.folder / "again").rglob("*.png")}
    assert again == {
        path.rpartition("/")[2]: content for path, content in owner.images.items() if generator_folder(DDPM) in path
    }


@weekly("upkeep/test_merging.py::test_two_shards_become_what_one_workspace_has_byte_for_byte")
def test_i_want_one_workspace_of_what_two_machines_have_made(beginner: User, sampled_once: dict[str, bytes]) -> None:
    shutil.copytree(beginner.workspace.root, beginner.folder / "other")
    beginner.types(f"cf-sample --images 2 --only {DIT}")
    beginner.types(f"cf-sample --images 2 --only {DDPM} --workspace other")
    beginner.types("cf-merge workspace other")
    folders = (generator_folder(DIT), generator_folder(DDPM))
    assert beginner.images == {path: image for path, image in sampled_once.items() if path.split("/")[1] in folders}
    assert Workspace(beginner.folder / "other").samples.is_dir()
