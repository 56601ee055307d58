"""The files that sampling downloads: exactly those that loading the pipeline opens.

A repository often has its weights four times (safetensors and pickle, full and half precision), again as a single file
and for ONNX, Flax and OpenVINO, together with sample images and training states. Of each component that
model_index.json names, this selects the configuration and one set of safetensors: full precision if it exists, else a
variant such as fp16. Components that the sampler replaces (the safety checker and its feature extractor) are skipped if
they are optional in the pipeline class. A component without a folder has its files at the root, as in the first
repositories of diffusers (google/ddpm-cat-256).
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from crawler.catalog import ModelFile
from crawler.model_index import MODEL_INDEX, NOT_DOWNLOADED
from crawler.pipelines.traits import PipelineTraits
from crawler.reasons import Incompatible, Reason
from workspace.size import text_of

#: Bytes of a download at most; the largest open pipelines have about 200 GB.
MAX_DOWNLOAD = 500 * 10**9

# diffusion_pytorch_model.fp16-00001-of-00002.safetensors, model.safetensors, pytorch_model-00001-of-00003.fp16.bin
_WEIGHTS = re.compile(
    r"(?P<stem>diffusion_pytorch_model|pytorch_model|model)"
    r"(?:\.(?P<variant>\w+?))?(?:-(?P<part>\d{5})-of-(?P<parts>\d{5}))?(?:\.(?P<late_variant>\w+))?"
    r"\.(?P<format>safetensors|bin)",
    re.ASCII,
)
_WEIGHT_SUFFIXES = (
    (".gguf", Reason.QUANTIZED_ONLY),
    (".onnx", Reason.ONNX_ONLY),
    (".onnx_data", Reason.ONNX_ONLY),
    (".msgpack", Reason.OTHER_FORMAT),
    (".h5", Reason.OTHER_FORMAT),
    (".xml", Reason.OTHER_FORMAT),
    (".mlmodelc", Reason.OTHER_FORMAT),
    (".neuron", Reason.OTHER_FORMAT),
    (".engine", Reason.OTHER_FORMAT),
    (".plan", Reason.OTHER_FORMAT),
    (".bin", Reason.PICKLE_ONLY),
    (".pt", Reason.PICKLE_ONLY),
    (".pth", Reason.PICKLE_ONLY),
    (".ckpt", Reason.PICKLE_ONLY),
    (".pkl", Reason.PICKLE_ONLY),
)
#: Suffixes of pickles that the libraries open.
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
# Files that describe tokenizers, processors, schedulers and models: configurations, vocabularies, merges.
_CONFIG_SUFFIXES = (".json", ".txt", ".model", ".jinja", ".tiktoken", ".bpe", ".vocab")
# Classes of diffusers and transformers without weights.
_WITHOUT_WEIGHTS = re.compile(r"Tokenizer|Scheduler|Processor|FeatureExtractor|Guidance|Guider")
# At the root: which files belong to a component of which class. A model has its configuration and its weights there.
_AT_ROOT = (
    (re.compile("Scheduler"), re.compile(r"scheduler_config\.json")),
    (re.compile("Processor|FeatureExtractor"), re.compile(r"(?:pre)?processor_config\.json")),
    (
        re.compile("Tokenizer"),
        re.compile(
            r"tokenizer\S*\.json|vocab\.(?:json|txt)|merges\.txt|special_tokens_map\.json|added_tokens\.json"
            r"|(?:spiece|tokenizer|sentencepiece\.bpe)\.model"
        ),
    ),
    (re.compile(""), re.compile(r"config\.json|(?:diffusion_pytorch_model|pytorch_model|model)[.-][^/]*")),
)
# A pickle beside an adapter that is no adapter: what a training script saves to continue.
_TRAINING_STATE = re.compile(r"(?:optimizer|scheduler|random_states|training_args|scaler|rng_state|custom_checkpoint)")


@dataclass(frozen=True)
class Download:
    """The files of one repository that sampling needs, by path."""

    files: tuple[ModelFile, ...]
    #: The weight variant to load, such as fp16; None: no component needs one.
    variant: str | None = None
    #: The weights that exist only as pickle, in words; None: all are safetensors.
    pickled: str | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class _WeightSet:
    variant: str | None
    format: str
    files: tuple[ModelFile, ...]


def checkpoint_files(
    files: Mapping[str, ModelFile],
    components: Mapping[str, tuple[str, str]],
    traits: PipelineTraits,
    without_weights: Collection[str] = (),
) -> Download:
    """The files that loading a checkpoint of this class opens; `components` as `crawler.model_index` reads them, and
    those of them whose weights are elsewhere.

    Where a component has only pickles, these are selected and `Download.pickled` is set; the caller decides.
    Raises `Incompatible`: missing-files, pickle-only, onnx-only, quantized-only, other-format, too-large.
    """
    chosen: list[ModelFile] = [files[MODEL_INDEX]]
    variants: set[str] = set()
    pickled: list[str] = []
    at_root: list[str] = []
    for name, (_, class_name) in sorted(components.items()):
        if name in NOT_DOWNLOADED and name in traits.optional_components:
            continue
        inside = _files_of(name, class_name, files)
        configs = [file for file_name, file in inside.items() if _is_config(file_name)]
        if not configs:
            raise Incompatible(Reason.MISSING_FILES, f"the folder {name}/ with the configuration of {class_name}")
        chosen += configs
        if not _WITHOUT_WEIGHTS.search(class_name):
            if "config.json" not in inside:
                raise Incompatible(Reason.MISSING_FILES, f"{name}/config.json")
            if inside["config.json"].folder == "":
                at_root.append(name)
            if name in without_weights:
                continue
            weights = _best_weights(name, inside)
            chosen += weights.files
            pickled += [name] if weights.format == "bin" else []
            variants |= {weights.variant} if weights.variant is not None else set()
    if len(at_root) > 1:
        raise Incompatible(Reason.MISSING_FILES, f"the folders of {' and '.join(at_root)}")
    if len(variants) > 1:
        detail = f"weights of one variant: its components have different ones ({', '.join(sorted(variants))})"
        raise Incompatible(Reason.MISSING_FILES, detail)
    in_pickles = f"{pickled[0]}/ has weights in another format than safetensors" if pickled else None
    return _download(chosen, variants.pop() if variants else None, in_pickles)


def folder_of(component: str, files: Mapping[str, ModelFile]) -> str:
    """The folder of a component's files with its slash; empty: it has none, and they are at the root."""
    return f"{component}/" if any(path.startswith(f"{component}/") for path in files) else ""


def adapter_file(
    files: Mapping[str, ModelFile], preferred: Iterable[str | None], what: str, other: Collection[str] = ()
) -> Download:
    """The file of an adapter: the first of the `preferred` paths that exists, else the only one at the root.

    A pickle only where no file is safetensors; then `Download.pickled` is set. `what` is the adapter in words, `other`
    are paths that are something else. Raises `Incompatible`: ambiguous-weights, missing-files, too-large, and the
    reasons of other formats.
    """
    names = [name for name in preferred if name is not None]
    stems = [name.rpartition(".")[0] for name in names if name.endswith(PICKLES)]
    for suffixes in ((".safetensors",), PICKLES):
        at_root = (path for path in files if "/" not in path and path.endswith(suffixes) and path not in other)
        candidates = sorted(path for path in at_root if not _TRAINING_STATE.match(path))
        # The same weights as safetensors, where the card names the pickle.
        twins = [f"{stem}.safetensors" for stem in stems]
        named = next((name for name in (*twins, *names) if name.endswith(suffixes) and name in files), None)
        if named is None and len(candidates) > 1:
            some = ", ".join(candidates[:3])
            detail = f"{len(candidates)} files could be {what}, such as {some}, and the card names none of them"
            raise Incompatible(Reason.AMBIGUOUS_WEIGHTS, detail)
        chosen = named or next(iter(candidates), None)
        if chosen is not None:
            pickled = f"the repository has {what} in another format than safetensors" if suffixes is PICKLES else None
            return _download([files[chosen]], None, pickled)
    raise _without_safetensors("", [path for path in files if "/" not in path], what)


def format_reason(paths: Iterable[str]) -> Reason | None:
    """The reason why weight files of these formats cannot be used; None: there is no such file."""
    names = list(paths)
    return next((reason for suffix, reason in _WEIGHT_SUFFIXES if any(name.endswith(suffix) for name in names)), None)


def _files_of(component: str, class_name: str, files: Mapping[str, ModelFile]) -> dict[str, ModelFile]:
    """The files of a component by their names."""
    folder = folder_of(component, files)
    if folder:
        found = {path.removeprefix(folder): file for path, file in files.items() if path.startswith(folder)}
        return {name: file for name, file in found.items() if "/" not in name}
    belongs = next(names for classes, names in _AT_ROOT if classes.search(class_name))
    return {path: file for path, file in files.items() if belongs.fullmatch(path)}


def _is_config(file_name: str) -> bool:
    return file_name.endswith(_CONFIG_SUFFIXES) and ".index." not in file_name


def _best_weights(component: str, inside: Mapping[str, ModelFile]) -> _WeightSet:
    complete = list(_weight_sets(inside))
    has_safetensors = any(name.endswith(".safetensors") for name in inside)
    # Pickles only where no file is safetensors: an incomplete set is an error of the repository.
    sets = [weights for weights in complete if weights.format == "safetensors" or not has_safetensors]
    if not sets:
        raise _without_safetensors(f"{component}/", inside, "its weights")
    # Full precision first: it is what the author trained. Of variants, fp16 first: it is the most common.
    return min(
        sets, key=lambda weights: (weights.variant is not None, weights.variant != "fp16", weights.variant or "")
    )


def _weight_sets(inside: Mapping[str, ModelFile]) -> Iterator[_WeightSet]:
    """The complete sets of weights in a component's folder: one file, or all shards with their index."""
    shards: dict[tuple[str, str | None, int, str], dict[int, ModelFile]] = {}
    for name, file in inside.items():
        match = _WEIGHTS.fullmatch(name)
        if match is None:
            continue
        variant = match["variant"] or match["late_variant"]
        if match["part"] is None:
            # transformers opens pytorch_model.bin and model.safetensors only.
            if (match["stem"], match["format"]) not in (("pytorch_model", "safetensors"), ("model", "bin")):
                yield _WeightSet(variant, match["format"], (file,))
        else:
            key = (match["stem"], variant, int(match["parts"]), match["format"])
            shards.setdefault(key, {})[int(match["part"])] = file
    for (stem, variant, count, suffix), parts in shards.items():
        indexes = (
            [f"{stem}.{suffix}.index.json"]
            if variant is None
            else [
                f"{stem}.{suffix}.index.{variant}.json",
                f"{stem}.{variant}.{suffix}.index.json",
            ]
        )
        index = next((inside[name] for name in indexes if name in inside), None)
        if index is not None and parts.keys() == set(range(1, count + 1)):
            yield _WeightSet(variant, suffix, (index, *(parts[number] for number in sorted(parts))))


def _without_safetensors(folder: str, names: Iterable[str], what: str) -> Incompatible:
    others = list(names)
    if any(name.endswith(".safetensors") for name in others):
        return Incompatible(
            Reason.MISSING_FILES, f"{folder}: {what} are incomplete, or have names that no library loads"
        )
    reason = format_reason(others)
    if reason is None:
        return Incompatible(Reason.MISSING_FILES, f"{folder or 'a file'} with {what}")
    return Incompatible(reason, f"{folder or 'the repository'} has {what} in another format than safetensors")


def _download(files: list[ModelFile], variant: str | None, pickled: str | None = None) -> Download:
    unique = {file.path: file for file in files}
    download = Download(tuple(unique[path] for path in sorted(unique)), variant, pickled)
    if download.size > MAX_DOWNLOAD:
        raise Incompatible(Reason.TOO_LARGE, f"{text_of(download.size)}, more than {text_of(MAX_DOWNLOAD)}")
    return download
