"""Generators that are no pipeline of diffusers, called like one: a user's Python module with one function, and models
in TorchScript, torch.export or ONNX.

A function gets those of these arguments that it names: `seeds` (one whole number an image), `classes` or `prompts`
(as many), `negative_prompts`, `folder` (its files), `device`; and settings of the catalogue by their names, such as
`guidance_scale`. A model gets normal noise, each image's from a CPU generator of its seed, and the classes. Both return
pictures, bytes, or numbers in the range that the catalogue states.

A module is code of the user's, who trusts it. It runs behind the walls like everything else here; what it changes in
the process changes no other generator, as the process is ended after it (`samplers/running/worker.py`).
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crawler.catalog import PixelRange, Program
from samplers.child.failures import GeneratorError, is_out_of_memory
from samplers.planning.plan import Plan
from workspace.errors import in_one_line

#: The arguments of a function that are those of a pipeline's call under other names.
_CALL_NAMES = {
    "seeds": "generator",
    "classes": "class_labels",
    "prompts": "prompt",
    "negative_prompts": "negative_prompt",
}
#: Arguments of a function that are the same in every call.
_FIXED = ("folder", "device")
_CHANNELS = (1, 3)
#: Modes of pictures that become bytes without a loss.
_PICTURES = ("1", "L", "P", "RGB")
_RANGES: dict[PixelRange, tuple[float, float]] = {"-1..1": (-1, 1), "0..1": (0, 1), "0..255": (0, 255)}
#: How far beyond its range, as a share of that, a generator's numbers usually are, and how many of them may be further:
#: more means that the range is another one, and clipping would make other images.
_TOLERANCE, _MOST_OUTSIDE = 0.25, 0.25


@dataclass(frozen=True)
class ProgramImages:
    """What a call returns, as pipelines do: images of height x width x channels, in [0, 1] or bytes."""

    images: list[npt.NDArray[Any]]


class LoadedProgram:
    """A program with what `samplers/child/calling.py` uses of a pipeline."""

    def __init__(
        self, function: Callable[..., Any], program: Program, fixed: Mapping[str, Any], dtype: str | None = None
    ) -> None:
        self._function, self._pixels, self.dtype = function, program.pixels, dtype
        self.components: dict[str, Any] = {}
        self.labels = {str(number): number for number in range(program.classes or 0)}
        taken = _parameters(function)
        self._names = {_CALL_NAMES.get(name, name): name for name in taken if name not in _FIXED}
        self._fixed = {name: value for name, value in fixed.items() if name in taken}
        self.call_signature = inspect.Signature(
            # By name only, as required ones may follow others.
            [
                taken[name].replace(name=known, kind=inspect.Parameter.KEYWORD_ONLY)
                for known, name in self._names.items()
            ]
        )

    def __call__(self, **arguments: Any) -> ProgramImages:
        """One call with the arguments of a pipeline, among them the images' random generators."""
        given = arguments.get("generator")
        if given is not None:
            generators = given if isinstance(given, list) else [given]
            arguments["generator"] = [generator.initial_seed() for generator in generators]
        result = self._function(**{self._names[name]: value for name, value in arguments.items()}, **self._fixed)
        return ProgramImages([_in_unit_range(image, self._pixels) for image in _each(result)])

    def to(self, device: str) -> None:
        """Nothing: a program places itself on the device that it is given."""


def load_program(folder: Path, plan: Plan, device: str) -> LoadedProgram:
    """The program in `folder`. Raises `GeneratorError` (load-failed) where it cannot be loaded."""
    program = plan.program
    assert program is not None
    missing = [package for package in program.packages if importlib.util.find_spec(package) is None]
    if missing:
        raise GeneratorError("load-failed", f"it needs {' and '.join(missing)}, not installed on this machine")
    try:
        if program.format == "python":
            function, dtype = _function_of(folder, program), None
        else:
            model, dtype = _MODELS[program.format](folder / program.file, device)
            function = _with_noise(model, program, device)
        return LoadedProgram(function, program, {"folder": folder, "device": device}, dtype)
    except GeneratorError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise GeneratorError("load-failed", f"{program.file}: {in_one_line(error)}") from error


def _function_of(folder: Path, program: Program) -> Callable[..., Any]:
    """The function of a module, which may import from its folder and from those of its code."""
    sys.path[:0] = [str(folder / name) for name in program.code] + [str(folder)]
    # No name that a package of its code may have.
    name = f"program_{Path(program.file).stem}"
    spec = importlib.util.spec_from_file_location(name, folder / program.file)
    if spec is None or spec.loader is None:
        raise GeneratorError("load-failed", f"{program.file} is no Python module")
    module = importlib.util.module_from_spec(spec)
    # Before it runs, as dataclasses and pickles look for it there.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    # A module that ends the process, as scripts do, costs only itself.
    except SystemExit as error:
        raise GeneratorError("load-failed", f"{program.file} ends the process when it is imported") from error
    function = getattr(module, program.function or "", None)
    if not callable(function):
        raise GeneratorError("load-failed", f"{program.file} has no function {program.function}")
    return _without_exit(function)


def _without_exit(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(**arguments: Any) -> Any:
        try:
            return function(**arguments)
        except SystemExit as error:
            raise RuntimeError(f"the module ends the process: exit code {error.code}") from error

    call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return call


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The arguments of a function that can be given by name. Raises `GeneratorError` for others that it needs."""
    found = dict(inspect.signature(function).parameters)
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    for name, parameter in found.items():
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise GeneratorError("load-failed", f"its function must take {name} by name")
    return {name: parameter for name, parameter in found.items() if parameter.kind not in variable}


Model = Callable[..., Any]


def _with_noise(model: Model, program: Program, device: str) -> Callable[..., Any]:
    """A function of seeds, and of classes, that calls a model with noise."""
    import torch

    def noise(seeds: Sequence[int]) -> Any:
        each = (torch.randn(program.noise, generator=torch.Generator("cpu").manual_seed(seed)) for seed in seeds)
        return torch.stack(list(each)).to(device)

    def unconditional(seeds: Sequence[int]) -> Any:
        return model(noise(seeds))

    def of_classes(seeds: Sequence[int], classes: Sequence[int]) -> Any:
        return model(noise(seeds), torch.tensor(classes, dtype=torch.int64, device=device))

    return unconditional if program.classes is None else of_classes


def _torchscript(file: Path, device: str) -> tuple[Model, str | None]:
    import torch

    model = torch.jit.load(str(file), map_location=device).eval()
    return model, _dtype_of(model.parameters())


def _torch_export(file: Path, device: str) -> tuple[Model, str | None]:
    import torch

    # Its graph is that of evaluation or of training, as it was exported.
    model = torch.export.load(file).module().to(device)
    return model, _dtype_of(model.parameters())


def _onnx(file: Path, device: str) -> tuple[Model, str | None]:
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    # As many as torch has, so that a row's number of threads is true; without binding them to cores, which the walls
    # refuse.
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    provider = "CPUExecutionProvider" if device == "cpu" else "CUDAExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        raise GeneratorError("load-failed", f"onnxruntime here has no {provider}: install onnxruntime-gpu")
    place: Any = (provider, {"device_id": torch.device(device).index or 0}) if device != "cpu" else provider
    session = onnxruntime.InferenceSession(str(file), options, providers=[place])
    if provider not in session.get_providers():
        raise GeneratorError("load-failed", f"onnxruntime cannot use {device}, and would compute on the CPU")
    names = [one.name for one in session.get_inputs()]
    kinds = [one.type for one in session.get_inputs()]

    def call(*inputs: Any) -> Any:
        if len(inputs) != len(names):
            raise RuntimeError(f"the model takes {', '.join(names)}, not {len(inputs)} inputs")
        arrays = [_as(kind, one.cpu().numpy()) for kind, one in zip(kinds, inputs, strict=True)]
        return torch.from_numpy(session.run(None, dict(zip(names, arrays, strict=True)))[0])

    return call, "float16" if kinds and "float16" in kinds[0] else "float32"


def _as(kind: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values in the type that a model of ONNX takes."""
    types = {"tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(int32)": np.int32}
    return values.astype(types[kind]) if kind in types else values


_MODELS: dict[str, Callable[[Path, str], tuple[Model, str | None]]] = {
    "torchscript": _torchscript,
    "torch-export": _torch_export,
    "onnx": _onnx,
}


def _dtype_of(parameters: Iterator[Any]) -> str | None:
    return next((str(one.dtype).removeprefix("torch.") for one in parameters if one.is_floating_point()), None)


def _each(result: Any) -> list[npt.NDArray[Any]]:
    """The images of a call's result, each height x width x channels, or height x width."""
    import torch
    from PIL import Image

    if isinstance(result, tuple) and result and not isinstance(result[0], Image.Image):
        result = result[0]
    if isinstance(result, np.ndarray | torch.Tensor) and result.ndim < 3:
        raise GeneratorError("sample-failed", f"its result has the shape {tuple(result.shape)}: no list of images")
    if not isinstance(result, np.ndarray | torch.Tensor | list | tuple):
        raise GeneratorError("sample-failed", f"it returns {type(result).__name__}: neither an array nor a list")
    return [_picture(one) for one in result]


def _picture(image: Any) -> npt.NDArray[Any]:
    """One image with its channels last. Tensors have them first, where their sizes allow that, and arrays last."""
    import torch
    from PIL import Image

    if isinstance(image, Image.Image):
        if image.mode not in _PICTURES:
            raise GeneratorError("sample-failed", f"it returns a picture of mode {image.mode}: return mode RGB or L")
        return np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    is_tensor = isinstance(image, torch.Tensor)
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu()
        image = (image.float() if image.is_floating_point() else image).numpy()
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[0] in _CHANNELS and (is_tensor or array.shape[-1] not in _CHANNELS):
        array = np.moveaxis(array, 0, -1)
    return array


def _in_unit_range(image: npt.NDArray[Any], pixels: PixelRange | None) -> npt.NDArray[Any]:
    """Numbers in [0, 1], or bytes as they are. Raises `GeneratorError` for numbers of an unknown or another range."""
    if image.dtype == np.uint8:
        return image
    if not np.issubdtype(image.dtype, np.floating):
        raise GeneratorError(
            "sample-failed", f"it returns {image.dtype}: return bytes (uint8) or floating-point numbers"
        )
    if pixels is None:
        detail = f'it returns {image.dtype} numbers: say what they mean in its table, such as pixels = "-1..1"'
        raise GeneratorError("sample-failed", detail)
    low, high = _RANGES[pixels]
    values = (image.astype(np.float32) - low) / (high - low)
    outside = np.count_nonzero((values < -_TOLERANCE) | (values > 1 + _TOLERANCE)) > _MOST_OUTSIDE * values.size
    if outside or (pixels == "0..255" and np.ptp(image) > 0 and image.max() <= 1):
        detail = f'its numbers are from {image.min():.3g} to {image.max():.3g}, and its table says pixels = "{pixels}"'
        raise GeneratorError("sample-failed", f"{detail}: correct one of them")
    return values
