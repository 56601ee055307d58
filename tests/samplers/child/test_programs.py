"""Programs in the process that samples them, without the process: what a function gets, and what it may return."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crawler.catalog import HyperparameterSources, Program
from samplers.child.calling import Caller, SampledImage
from samplers.child.failures import GeneratorError
from samplers.child.loading import load
from samplers.messages import Assignment
from tests.samplers.child.making import plan

SEEDED = """
import torch
def sample(seeds, side=4):
    made = [torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(made)
"""


@pytest.fixture(autouse=True)
def path_of_modules() -> Iterator[None]:
    """What a program does to the process ends with the process; here with the test."""
    before = list(sys.path)
    yield
    sys.path[:] = before
    sys.modules.pop("program_m", None)


def _assignment(folder: Path, module: str, task: str = "unconditional", **program: Any) -> Assignment:
    (folder / "m.py").write_text(module)
    how = Program(**{"format": "python", "file": "m.py", "function": "sample", "pixels": "0..1", **program})
    settings = {"num_inference_steps": None, "program": how}
    return Assignment(plan=plan(task, **settings), folder=folder, base_folder=None, call_size=4)


def _images(folder: Path, module: str, task: str = "unconditional", **program: Any) -> list[SampledImage]:
    return _called(_assignment(folder, module, task, **program))


def _called(assignment: Assignment) -> list[SampledImage]:
    return Caller(load(assignment, "cpu"), assignment.plan, assignment.call_size)(assignment.plan.samples)


def test_a_function_gets_the_seed_of_each_image(tmp_path: Path) -> None:
    images = _images(tmp_path, SEEDED)
    for image in images:
        expected = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(image.planned.seed))
        np.testing.assert_allclose(image.array, expected.permute(1, 2, 0).numpy())
    assert {image.call_size for image in images} == {4}


def test_a_function_gets_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "weights.txt").write_text("9")
    module = """
import numpy as np
def sample(*, device, folder, classes, seeds, **others):
    assert device == "cpu" and not others
    return [np.full((2, 2, 3), int((folder / "weights.txt").read_text()) + number, np.uint8) for number in classes]
"""
    images = _images(tmp_path, module, "class-conditional", classes=3)
    assert [image.class_label for image in images] == [0, 1, 2, 0]
    assert [int(image.array[0, 0, 0]) for image in images] == [9, 10, 11, 9]


def test_prompts_and_settings_reach_the_function_and_defaults_are_recorded(tmp_path: Path) -> None:
    module = """
import numpy as np
def sample(seeds, prompts, negative_prompts, guidance_scale=7.0, num_inference_steps=9, height=2):
    assert negative_prompts == ["ugly"] * len(prompts) and guidance_scale == 3.0
    return [np.full((height, 2, 3), len(prompt), np.uint8) for prompt in prompts]
"""
    declared = {"guidance_scale": 3.0, "negative_prompt": "ugly", "num_inference_steps": None}
    sources = HyperparameterSources(guidance_scale="user", negative_prompt="user")
    (tmp_path / "m.py").write_text(module)
    how = Program(format="python", file="m.py", function="sample")
    wanted = plan("text-to-image", program=how, sources=sources, **declared)
    assignment = Assignment(plan=wanted, folder=tmp_path, base_folder=None, call_size=4)
    caller = Caller(load(assignment, "cpu"), wanted, 4)
    assert [int(image.array[0, 0, 0]) for image in caller(wanted.samples)] == [5, 5, 7, 5]
    assert (caller.arguments.guidance_scale, caller.arguments.num_inference_steps) == (3.0, 9)
    assert caller.arguments.negative_prompt == "ugly"


def test_a_setting_that_the_function_does_not_take_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(SEEDED)
    how = Program(format="python", file="m.py", function="sample", pixels="0..1")
    wanted = plan(program=how, num_inference_steps=5, sources=HyperparameterSources(num_inference_steps="user"))
    assignment = Assignment(plan=wanted, folder=tmp_path, base_folder=None, call_size=4)
    with pytest.raises(
        GeneratorError, match="the user sets num_inference_steps=5, which a LoadedProgram does not take"
    ):
        Caller(load(assignment, "cpu"), wanted, 4)


@pytest.mark.parametrize(
    ("returned", "pixels", "first"),
    [
        ("torch.zeros(4, 3, 5, 5)", "-1..1", 0.5),
        ("np.ones((4, 5, 5, 3))", "0..1", 1.0),
        ("np.full((4, 5, 5, 3), 51.0)", "0..255", 0.2),
        ("np.full((4, 5, 5), 7, np.uint8)", None, 7),
        ("torch.full((4, 1, 5, 5), 7, dtype=torch.uint8)", None, 7),
        ("[Image.new('RGB', (5, 5), (7, 0, 0))] * 4", None, 7),
        ("[Image.new('P', (5, 5))] * 4", None, 0),
        ("(torch.zeros(4, 3, 5, 5), 'more')", "0..1", 0.0),
        ("torch.zeros(4, 3, 5, 5, dtype=torch.bfloat16)", "0..1", 0.0),
    ],
)
def test_arrays_tensors_and_pictures_are_images(tmp_path: Path, returned: str, pixels: Any, first: float) -> None:
    module = f"import numpy as np, torch\nfrom PIL import Image\ndef sample(seeds):\n    return {returned}\n"
    images = _images(tmp_path, module, pixels=pixels)
    assert [image.array.shape[:2] for image in images] == [(5, 5)] * 4
    assert np.allclose(images[0].array.flat[0], first)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("np.zeros((4, 5, 5, 3))", 'say what they mean in its table, such as pixels = "-1..1"'),
        ("np.zeros((4, 5, 5, 3), np.int64)", "it returns int64: return bytes"),
        ("['a.png'] * 4", "it returns <U5: return bytes"),
        ("[Image.new('RGBA', (5, 5))] * 4", "it returns a picture of mode RGBA: return mode RGB or L"),
        ("[Image.new('I;16', (5, 5))] * 4", "it returns a picture of mode I;16"),
        ("np.zeros(4, np.uint8)", "no list of images"),
        ("None", "it returns NoneType: neither an array nor a list"),
        ("[Image.new('L', (5, 5))] * 3", "the pipeline returned 3 images, not 4|returned 3 images, not 1"),
        ("exit()", "the module ends the process: exit code None"),
        ("1 / 0", "division by zero"),
    ],
)
def test_what_is_no_image_fails_with_a_reason(tmp_path: Path, returned: str, message: str) -> None:
    module = f"import numpy as np\nfrom PIL import Image\ndef sample(seeds):\n    return {returned}\n"
    with pytest.raises(GeneratorError, match=message) as raised:
        _images(tmp_path, module, pixels=None)
    assert raised.value.status == "sample-failed"


@pytest.mark.parametrize(
    ("pixels", "numbers"),
    [("0..1", "np.linspace(-1, 1, 75)"), ("-1..1", "np.linspace(0, 255, 75)"), ("0..255", "np.linspace(0, 1, 75)")],
)
def test_numbers_of_another_range_than_the_stated_one_are_refused(tmp_path: Path, pixels: Any, numbers: str) -> None:
    module = f"import numpy as np\ndef sample(seeds):\n    return [{numbers}.reshape(5, 5, 3)] * len(seeds)\n"
    with pytest.raises(GeneratorError, match=f'its numbers are from .* to .*, and its table says pixels = "{pixels}"'):
        _images(tmp_path, module, pixels=pixels)


def test_numbers_a_little_beyond_their_range_and_numbers_that_are_none_are_kept(tmp_path: Path) -> None:
    numbers = "[np.linspace(-1.3, 1.3, 75).reshape(5, 5, 3), np.full((5, 5, 3), np.nan)] * 2"
    images = _images(tmp_path, f"import numpy as np\ndef sample(seeds):\n    return {numbers}\n", pixels="-1..1")
    assert np.isclose(images[0].array.max(), 1.15)
    assert np.isnan(images[1].array).all()


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("import a_missing_package", "m.py: .*a_missing_package"),
        ("exit(3)", "m.py ends the process when it is imported"),
        ("sample = 3", "m.py has no function sample"),
        ("def sample(seeds, /): ...", "its function must take seeds by name"),
        ("def sample(seeds): pass\nraise ValueError('first line\\nsecond')", "m.py: .*first line"),
    ],
)
def test_a_module_that_cannot_be_loaded_says_why(tmp_path: Path, module: str, message: str) -> None:
    with pytest.raises(GeneratorError, match=message) as raised:
        load(_assignment(tmp_path, module), "cpu")
    assert raised.value.status == "load-failed"


def test_a_missing_package_is_named_before_the_module_runs(tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match="it needs nowhere_to_be_found, not installed on this machine"):
        load(_assignment(tmp_path, "1 / 0", packages=("nowhere_to_be_found",)), "cpu")


def test_an_argument_that_nobody_gives_is_named(tmp_path: Path) -> None:
    with pytest.raises(GeneratorError, match="needs the arguments strength"):
        _images(tmp_path, "def sample(seeds, strength): ...")


def test_a_module_imports_from_its_code_before_the_installed_packages(tmp_path: Path) -> None:
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "nets_of_a_clone.py").write_text("VALUE = 7")
    module = """
import numpy as np
from nets_of_a_clone import VALUE
def sample(seeds):
    return np.full((len(seeds), 5, 5), VALUE, np.uint8)
"""
    assert _images(tmp_path, module, code=("clone",))[0].array[0, 0] == 7


def test_images_of_a_batch_that_fails_are_made_one_at_a_time(tmp_path: Path) -> None:
    module = SEEDED.replace("    made", "    assert len(seeds) == 1\n    made")
    images = _images(tmp_path, module)
    assert {image.call_size for image in images} == {1}
    together = _images(tmp_path, SEEDED)
    assert all(np.array_equal(one.array, other.array) for one, other in zip(images, together, strict=True))


class _Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((1,), 0.1, dtype=torch.float64))

    def forward(self, noise: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        return (noise * self.scale + classes[:, None, None, None]).float()


def test_a_model_gets_noise_of_each_seed_and_the_classes(tmp_path: Path) -> None:
    torch.jit.trace(_Net(), (torch.zeros(2, 3, 4, 4), torch.tensor([0, 1]))).save(str(tmp_path / "m.pt"))
    how = Program(format="torchscript", file="m.pt", noise=(3, 4, 4), classes=2, pixels="0..1")
    wanted = plan("class-conditional", program=how, num_inference_steps=None)
    generator = load(Assignment(plan=wanted, folder=tmp_path, base_folder=None, call_size=4), "cpu")
    assert generator.effective.dtype == "float64"
    for image in Caller(generator, wanted, 4)(wanted.samples):
        noise = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(image.planned.seed))
        expected = 0.1 * noise.permute(1, 2, 0).numpy() + image.planned.index % 2
        np.testing.assert_allclose(image.array, expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["torchscript", "torch-export", "onnx"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, kind: Any) -> None:
    if kind == "onnx":
        pytest.importorskip("onnxruntime")
    (tmp_path / "m.pt2").write_bytes(b"no model")
    how = Program(format=kind, file="m.pt2", noise=(3, 4, 4), pixels="0..1")
    wanted = plan(program=how, num_inference_steps=None)
    with pytest.raises(GeneratorError, match=r"m\.pt2: ") as raised:
        load(Assignment(plan=wanted, folder=tmp_path, base_folder=None, call_size=4), "cpu")
    assert raised.value.status == "load-failed"
