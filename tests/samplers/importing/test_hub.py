"""Data sets of the Hub, with the columns of the study's own, and with archives."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from captioning.sources.columns import Columns
from localhub.process import HubProcess
from samplers.importing.command import described
from samplers.importing.selection import select
from samplers.importing.tree import open_tree
from tests.captioning.archives import sample, write_parquet, write_tar
from tests.hubs import fill
from tests.samplers.foreign.making import encoded, picture
from workspace.errors import HubError
from workspace.hub_access import HubAccess

FILES = [encoded(picture(number), "JPEG") for number in range(4)]
CARD = b"""---
configs:
- config_name: default
  data_files: [{split: CompEval, path: data/*}]
- config_name: tars
  data_files: shards/*.tar
---
"""


@pytest.fixture(scope="module")
def own_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubAccess]:
    folder = tmp_path_factory.mktemp("hub")
    columns = {"image_data": FILES[:3], "model_name": ["GALIP", "GALIP", "DFGAN"], "label": [1, 0, 1]}
    table = write_parquet(folder / "a.parquet", columns | {"prompt": ["a cat", "a dog", None]}).read_bytes()
    tar = write_tar(folder / "b.tar", [*sample("x/1", FILES[3], "a boat")]).read_bytes()
    files = {"README.md": CARD, "data/a.parquet": table, "shards/b.tar": tar}
    fill(folder / "hub", "org/eval", files, "dataset")
    with HubProcess(folder / "hub") as running:
        yield HubAccess(running.endpoint)


def test_the_images_of_one_generator_are_chosen_by_columns_and_read_at_a_pinned_commit(
    own_hub: HubAccess, tmp_path: Path
) -> None:
    file = tmp_path / "some.toml"
    file.write_text(
        '["study/GALIP"]\nkind = "import"\narchitecture = "GAN"\n["study/GALIP".import]\n'
        'path = "hf://org/eval:default/CompEval"\nwhere = { model_name = "GALIP", label = 1 }\n'
    )
    what = described(str(file), None, {}, {})
    tree = open_tree(what.path, Columns(), own_hub)
    (one,), unclaimed = select(tree, what)
    assert one.names == ("data/a.parquet#row=000000000",)
    assert len(unclaimed) == 2
    assert tree.read(one.names[0]) == FILES[0]
    assert one.prompts.of(one.names[0]).prompt == "a cat"
    ((root, name),) = tree.revision(one.names, ())
    assert (root, name) == (tree.root, "data/a.parquet")
    assert "@" in root


def test_prompts_beside_images_in_archives_are_read(own_hub: HubAccess) -> None:
    said = {"architecture": "GAN", "license": None, "subset": "Manual"}
    what = described("x/y", "hf://org/eval:tars", said, {})
    tree = open_tree(what.path, Columns(), own_hub)
    (one,), _ = select(tree, what)
    assert tree.read(one.names[0]) == FILES[3]
    assert (one.prompts.of(one.names[0]).prompt, one.prompts.of(one.names[0]).source) == ("a boat", "beside:.txt")


def test_a_data_set_that_does_not_exist_is_one_line(own_hub: HubAccess) -> None:
    with pytest.raises(HubError, match="the data set org/none cannot be read from the Hub"):
        open_tree("hf://org/none", Columns(), own_hub)
