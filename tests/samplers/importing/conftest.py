"""A mixed tree, and what an import made of it, for all tests of this room."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from localhub.process import HubProcess
from samplers.foreign.examiner import Examiner
from samplers.importing import stage
from samplers.importing.account import Account
from samplers.importing.command import described
from samplers.importing.described import Import
from samplers.importing.options import ImportOptions
from tests.samplers.forked_examiner import forked_examiner
from tests.samplers.importing.corpus import Corpus, make
from tests.scale import scaled
from workspace.layout import Workspace

NAME = "others/mixed"
COUNT = scaled(140, soak=2_000)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return make(tmp_path_factory.mktemp("corpus") / "published", COUNT)


def _what(corpus: Corpus) -> Import:
    said = {"architecture": "GAN", "license": "cc0-1.0", "subset": "Manual", "trained_on": "FFHQ"}
    return described(NAME, str(corpus.root), said, {"real_source": "ffhq", "match": "prompt"})


@pytest.fixture(scope="session")
def import_corpus(corpus: Corpus, hub: HubProcess) -> Iterator[Callable[..., Account]]:
    """Imports the tree into a workspace. All imports have one examiner."""
    running: list[Examiner] = []

    def examiner(*arguments: Any, **options: Any) -> AbstractContextManager[Examiner]:
        if not running:
            with forked_examiner():
                running.append(Examiner(*arguments, **options))
                running[0].start()
        return nullcontext(running[0])

    def imported(workspace: Workspace, report: Path | None = None) -> Account:
        weights = workspace.root.parent / "weights"
        options = ImportOptions(device="cpu", endpoint=hub.endpoint, weights_dir=weights, report=report)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stage, "Examiner", examiner)
            return stage.import_images(workspace, _what(corpus), options)

    yield imported
    for one in running:
        one.__exit__(None, None, None)


@pytest.fixture(scope="session")
def imported(
    import_corpus: Callable[..., Account], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, Account]:
    folder = tmp_path_factory.mktemp("imported")
    workspace = Workspace.open(folder / "workspace")
    return workspace, import_corpus(workspace, folder / "report.csv")
