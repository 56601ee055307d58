"""Adapters: which file they are, the tokens of their embeddings, which base model they are made for.

A textual inversion is an embedding of a token. A LoRA can have one as well (pivotal tuning): its training made new
tokens, and their embeddings are in a file beside the LoRA's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from crawler.card.model_card import Card
from crawler.card.snippets import Usage
from crawler.catalog import ModelFile
from crawler.hub.repository import Repository
from crawler.kinds import ADAPTER_FILES
from crawler.lineage import bases_in_tags
from crawler.options import Kind
from crawler.pipelines.weight_files import PICKLES, Download, adapter_file
from crawler.reasons import Incompatible, Reason
from workspace.printable import in_line

_WHAT: dict[Kind, str] = {"lora": "the LoRA", "textual-inversion": "the embedding"}
#: The file in which the training script of textual inversion writes its token.
TOKEN_FILE = "token_identifier.txt"
# The embeddings of pivotal tuning, as its training scripts name them.
_EMBEDDINGS = re.compile(r"(?:[^/]*[_-])?(?:emb|embeddings?)\.safetensors", re.IGNORECASE)
# Its tokens.
_NEW_TOKEN = re.compile(r"<s\d+>")
_ANY_TOKEN = re.compile(r"<[^<>\s]{1,100}>")
# Pipelines whose denoiser was widened for an image by such a LoRA (FLUX.1-Canny-dev-lora), and how these are called.
_CONTROL_CLASS = re.compile(r"\b[A-Z]\w*?Control(?!Net)\w*Pipeline\b")
_TEXT_CLASS = re.compile(
    r"\b(?:AutoPipelineForText2Image|DiffusionPipeline|(?:Flux|StableDiffusion(?:XL|3)?)Pipeline)\b"
)
_CONTROL_NAME = re.compile(r"control[-_]?lora", re.IGNORECASE)


@dataclass(frozen=True)
class AdapterFiles:
    """What sampling takes from an adapter's repository."""

    download: Download
    #: Path of the adapter's weights.
    weights: str
    #: Path of the embeddings beside a LoRA.
    embeddings: str | None = None
    #: Tokens of its embeddings, or of the textual inversion; none: those that the file names.
    tokens: tuple[str, ...] = ()


def find_adapter(kind: Kind, repository: Repository, card: Card, usage: Usage) -> AdapterFiles:
    """The files of an adapter and its tokens.

    Raises `Incompatible`: ambiguous-weights, missing-files, needs-input-image, and the reasons of other formats; or
    `HubError`.
    """
    if kind == "lora":
        _check_control(repository, card)
    files = repository.files
    beside = _embeddings(files, usage) if kind == "lora" else None
    stem = ADAPTER_FILES[kind]
    preferred = (usage.weight_name, f"{stem}.safetensors", *(f"{stem}{suffix}" for suffix in PICKLES))
    download = adapter_file(files, preferred, _WHAT[kind], () if beside is None else (beside,))
    (weights,) = (file.path for file in download.files)
    if kind == "textual-inversion":
        stated = repository.read(TOKEN_FILE, max_bytes=1000)
        in_file = in_line(stated.decode("utf-8", "replace")) or None if stated is not None else None
        tokens = usage.tokens or ((in_file,) if in_file is not None else _concept(card) or _file_name(weights, card))
        return AdapterFiles(download, weights, tokens=tokens)
    tokens = usage.tokens or tuple(dict.fromkeys(_NEW_TOKEN.findall(_words(card))))
    if beside is None:
        if tokens:
            detail = f"the embeddings of the tokens {' '.join(tokens[:5])}, which its card names"
            raise Incompatible(Reason.MISSING_FILES, detail)
        return AdapterFiles(download, weights)
    both = tuple(sorted((*download.files, files[beside]), key=lambda file: file.path))
    return AdapterFiles(replace(download, files=both), weights, beside, tokens)


def base_of(card: Card, usage: Usage, tags: tuple[str, ...]) -> str:
    """The base model that an adapter is sampled with: of several that its card names, the one that its code loads.

    Raises `Incompatible`: base-missing, base-ambiguous.
    """
    named = card.base_models or bases_in_tags(tags)
    if len(named) == 1:
        return named[0]
    if usage.base_model is not None:
        return usage.base_model
    if not named:
        raise Incompatible(Reason.BASE_MISSING, "neither its card nor a tag names a base_model, nor does its code")
    some = ", ".join(named[:5])
    raise Incompatible(Reason.BASE_AMBIGUOUS, f"its card names {len(named)} bases, and its code loads none: {some}")


def _embeddings(files: Mapping[str, ModelFile], usage: Usage) -> str | None:
    if usage.embedding_file in files:
        return usage.embedding_file
    found = sorted(path for path in files if _EMBEDDINGS.fullmatch(path))
    if len(found) > 1:
        raise Incompatible(Reason.AMBIGUOUS_WEIGHTS, f"several files could be its embeddings: {', '.join(found[:3])}")
    if not found and usage.embedding_file is not None:
        raise Incompatible(Reason.MISSING_FILES, f"{usage.embedding_file}, the embeddings that its card loads")
    return found[0] if found else None


def _words(card: Card) -> str:
    """Where a card has the tokens of pivotal tuning: its front matter's prompts and its text."""
    stated = card.metadata.get("instance_prompt")
    return f"{stated if isinstance(stated, str) else ''} {card.body}"


def _concept(card: Card) -> tuple[str, ...]:
    """The token in the sentence of the textual inversion concepts library."""
    for lines in card.document.paragraphs():
        text = " ".join(line.text for line in lines)
        found = (
            _ANY_TOKEN.search(text) if re.search(r"\bconcept\b|\btextual inversion\b", text, re.IGNORECASE) else None
        )
        if found is not None:
            return (found[0],)
    return ()


def _file_name(path: str, card: Card) -> tuple[str, ...]:
    """The name of the file, by which web UIs call an embedding, where the card uses it as a word."""
    stem = path.rpartition("/")[2].rpartition(".")[0]
    words = re.compile(rf"(?<![\w/-]){re.escape(stem)}(?![\w/-]|\.\w)")
    usual = stem.startswith(ADAPTER_FILES["textual-inversion"])
    return (stem,) if stem and not usual and any(words.search(line.text) for line in card.document.lines()) else ()


def _check_control(repository: Repository, card: Card) -> None:
    """Raise needs-input-image for a LoRA that makes its base take an image."""
    code = "\n".join(block.source for block in card.document.code())
    control = _CONTROL_CLASS.search(code)
    if control is not None and not _TEXT_CLASS.search(code):
        raise Incompatible(Reason.NEEDS_INPUT_IMAGE, f"a LoRA for {control[0]}, which needs an image")
    name = next((text for text in (repository.model_name, *repository.tags) if _CONTROL_NAME.search(text)), None)
    if name is not None:
        raise Incompatible(Reason.NEEDS_INPUT_IMAGE, f"a control LoRA, as {name!r} says: it needs an image")
