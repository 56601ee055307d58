"""What adapters do for code bases that cannot be run as they are: small clones stand for these."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import generators

ADAPTERS = Path(generators.__file__).parent / "adapters"

#: A clone whose generator draws noise in its layers, from the global generator.
LOADER = """
import torch

class Net(torch.nn.Module):
    input_shape = [None, 2, 8]

    def forward(self, latents, truncation_psi):
        return (torch.tanh(latents.mean((1, 2)))[:, None, None, None] + 0.1 * torch.randn([len(latents), 3, 4, 4]),)

def load_network_pkl(content):
    return {"Gs": Net()}
"""


@pytest.fixture(autouse=True)
def own_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Adapters are imported by their names; what they and their clones leave behind is removed."""
    monkeypatch.syspath_prepend(str(ADAPTERS))
    yield
    clones = {
        "main",
        "loader",
        "torch_utils",
        "torch_utils.ops",
        "torch_utils.ops.bias_act",
        "torch_utils.ops.upfirdn2d",
    }
    for name in clones | {file.stem for file in ADAPTERS.glob("*.py")}:
        sys.modules.pop(name, None)


def _clone(folder: Path, **files: str) -> None:
    for name, text in files.items():
        place = folder / f"{name.replace('__', '/')}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def test_an_image_of_gansformer_depends_on_its_own_seed_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _clone(tmp_path, loader=LOADER, torch_utils__ops__bias_act="", torch_utils__ops__upfirdn2d="")
    (tmp_path / "ffhq.pkl").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    sample = importlib.import_module("gansformer").sample
    both = sample([3, 4], tmp_path, "cpu")
    assert torch.equal(both[1], sample([4], tmp_path, "cpu")[0])
    assert not torch.equal(both[0], both[1])


def test_what_taming_transformers_imports_and_nobody_has_any_more_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    monkeypatch.setattr(transformers, "top_k_top_p_filtering", None, raising=False)
    importlib.import_module("taming_transformers")._provide_what_is_gone()
    main: Any = importlib.import_module("main")
    made = main.instantiate_from_config(config={"target": "fractions.Fraction", "params": {"numerator": 3}})
    assert made == 3
    logits = torch.tensor([[0.1, 3.0, 2.0, 1.0]])
    kept = transformers.top_k_top_p_filtering(logits, top_k=3, top_p=0.8)  # type: ignore[attr-defined]
    # The three largest have the shares 0.67, 0.24 and 0.09.
    assert kept.isfinite().tolist() == [[False, True, True, False]]


def test_a_missing_file_of_weights_is_said_with_what_to_do(tmp_path: Path) -> None:
    module: ModuleType = importlib.import_module("_weights")
    with pytest.raises(FileNotFoundError, match=r"one file \*\.pt is needed, and there are 0: correct `files`"):
        module.weights(tmp_path, "*.pt")
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pt")
    assert module.weights(tmp_path, "*.pt")["a"].tolist() == [1, 1]
