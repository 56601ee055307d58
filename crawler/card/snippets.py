"""The Python snippets of a model card: how its author samples the model. They are parsed, never run.

All settings come from one call, the first that has a setting. Calls that do not generate a whole image from
text are skipped: those with an input image, priors and refiners, and halves of a run (`denoising_end`). If a pipeline
is loaded from the card's own repository, calls of other pipelines are skipped, because they show another model, such as
the base. How the statements are followed: `crawler/card/interpreter.py`.
"""

import ast
import re
import textwrap
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from crawler.card.call_fields import CALL_FIELDS, valid_or_none
from crawler.card.calls import Call, Found
from crawler.card.document import Document
from crawler.card.expressions import TooLongError
from crawler.card.interpreter import Interpreter
from crawler.card.values import UNKNOWN, Pipeline, Scheduler, is_plain, plain
from crawler.text import Plain, parse_python

#: Languages that authors name for Python; most name none.
_PYTHON = frozenset({"", "py", "py3", "python", "python3", "pycon", "ipython", "ipython3"})
# Arguments that the sampler sets: prompts, seeds, batches, and the type of the result.
_SAMPLER_ARGUMENTS = frozenset(
    {
        "generator",
        "latents",
        "num_images_per_prompt",
        "batch_size",
        "output_type",
        "return_dict",
        "class_labels",
        "image",
        "images",
        "image_embeds",
        "negative_image_embeds",
        "negative_prompt_embeds",
        "negative_pooled_prompt_embeds",
        "pooled_prompt_embeds",
        "callback",
        "callback_steps",
        "callback_on_step_end",
        "callback_on_step_end_tensor_inputs",
    }
)
# 1 is no skip.
_CLIP_SKIP = re.compile(r"\bclip[ _-]?skip\W{0,8}(?:[2-9]|1[0-2])\b", re.IGNORECASE)
#: Lines of a snippet with syntax errors, such as a shell command, that are skipped at most.
MAX_SYNTAX_ERRORS = 3

#: Characters of a snippet, and snippets of a card, at most; real cards have far fewer.
MAX_SNIPPET = 50_000
MAX_SNIPPETS = 100
#: The name among unread settings for what is beyond the limits: text that is too long, or too much code.
REST = "rest of the card"


@dataclass(frozen=True)
class Usage:
    """How the snippets of a card sample its model."""

    #: Literal keyword arguments of the pipeline's call.
    arguments: Mapping[str, Plain] = field(default_factory=dict)
    #: Scheduler class that is set before the call.
    scheduler: str | None = None
    #: Literal keyword arguments of that scheduler: of its constructor, from_config or from_pretrained.
    scheduler_config: Mapping[str, Plain] = field(default_factory=dict)
    #: Of a scheduler whose constructor is called: the settings whose values cannot be read. None: the settings that are
    #: not given are those of the repository's configuration, not the defaults of the class.
    scheduler_unread: frozenset[str] | None = None
    #: Scale of the LoRA: of fuse_lora, set_adapters, or cross_attention_kwargs.
    adapter_scale: float | None = None
    #: `weight_name` of load_lora_weights or load_textual_inversion, with its subfolder.
    weight_name: str | None = None
    #: Repository id of the pipeline that the adapter is loaded into.
    base_model: str | None = None
    #: The file of embeddings that are loaded beside the LoRA (pivotal tuning).
    embedding_file: str | None = None
    #: `token` of load_textual_inversion, in order.
    tokens: tuple[str, ...] = ()
    #: Names of settings whose values cannot be read.
    unread: tuple[str, ...] = ()

    @property
    def token(self) -> str | None:
        """The first token."""
        return self.tokens[0] if self.tokens else None


def read_usage(document: Document, model_name: str, parameters: Collection[str]) -> Usage:
    """How the card of `model_name` samples it; `parameters` are those of its pipeline's call.

    Never raises: a snippet that is not Python is skipped.
    """
    reader = Interpreter(model_name, frozenset(parameters))
    sources = [block.source for block in document.code() if block.language in _PYTHON]
    read = [source for source in sources if len(source) <= MAX_SNIPPET][:MAX_SNIPPETS]
    cut = document.cut or len(read) < len(sources)
    for source in read:
        try:
            reader.visit(_parse(_statements(source)))
        except (SyntaxError, ValueError):
            continue
        except (RecursionError, MemoryError):  # too deep for Python's parser
            cut = True
        except TooLongError:
            cut = True
            break
    usage = _usage(reader.calls.found, _best_call(reader))
    unread = list(usage.unread)
    if "clip_skip" in parameters and "clip_skip" not in usage.arguments and _names_clip_skip(document):
        unread.append("clip_skip")
    return replace(usage, unread=(*unread, REST) if cut else tuple(unread))


def _names_clip_skip(document: Document) -> bool:
    """Whether a text gives the setting of web UIs, which count its layers in another way than diffusers."""
    return any(_CLIP_SKIP.search("".join(span.text for span in line.spans)) for line in document.lines())


def _best_call(reader: Interpreter) -> Call:
    """The call that shows how the model is sampled; where none does, one of its pipeline without arguments."""
    own = [call for call in reader.calls.found.calls if call.pipeline.own]
    calls = own or [
        call for call in reader.calls.found.calls if not (call.pipeline.foreign and reader.values.own_pipeline)
    ]
    setting = (call for call in calls if any(is_setting(name) for name in plain(call.arguments)))
    loaded = next((pipeline for pipeline in reader.pipelines() if pipeline.own), Pipeline())
    return next(setting, calls[0] if calls else Call(loaded, {}, None))


def _usage(found: Found, call: Call) -> Usage:
    loaded = call.pipeline if call.pipeline.adapter is not None else next(iter(found.adapters), Pipeline())
    scale = loaded.adapter.scale(call.scale) if loaded.adapter is not None else None
    embedding = next((part.file for part in found.embeddings), None)
    scheduler = call.pipeline.scheduler
    chosen = scheduler if isinstance(scheduler, Scheduler) else Scheduler()
    arguments = {
        name: _one_text(value) if name == "negative_prompt" else value for name, value in call.arguments.items()
    }
    known = {name: value for name, value in plain(arguments).items() if _is_valid(name, value)}
    tokens = tuple(dict.fromkeys(token for part in found.embeddings for token in part.tokens))
    unread = [name for name in arguments if name not in known and is_setting(name)]
    if arguments.get("negative_prompt_embeds") is not None:
        unread.append("negative_prompt")
    if scheduler is UNKNOWN:
        unread.append("scheduler")
    if not all(map(is_plain, chosen.settings.values())):
        unread.append("scheduler_config")
    if scale is UNKNOWN:
        unread.append("adapter_scale")
    if not tokens and any(part.unread for part in found.embeddings):
        unread.append("trigger_words")
    return Usage(
        known,
        chosen.class_name,
        scheduler_config=plain(chosen.settings),
        scheduler_unread=frozenset(chosen.settings) - plain(chosen.settings).keys() if chosen.constructed else None,
        adapter_scale=scale if isinstance(scale, float) else None,
        weight_name=loaded.adapter.file if loaded.adapter is not None else embedding,
        base_model=loaded.source or next((part.base_model for part in found.embeddings), None),
        embedding_file=embedding if loaded.adapter is not None else None,
        tokens=tokens,
        unread=tuple(dict.fromkeys(unread)),
    )


def _one_text(value: Any) -> Any:
    """The text of a list that has one, as pipelines take it for several images."""
    return value[0] if isinstance(value, list) and value and value.count(value[0]) == len(value) else value


def _is_valid(name: str, value: Plain) -> bool:
    """Whether a literal can be the argument `name`; None and an empty text are the pipeline's default."""
    return name not in CALL_FIELDS or value in (None, "") or valid_or_none(name, value) is not None


def is_setting(name: str) -> bool:
    """Whether an argument is a hyperparameter; the sampler sets the others itself."""
    return name not in _SAMPLER_ARGUMENTS and not name.startswith("prompt")


def _parse(source: str) -> ast.Module:
    """The syntax tree of a snippet, without up to `MAX_SYNTAX_ERRORS` wrong lines; raises as `ast.parse`."""
    lines = source.splitlines()
    for _ in range(MAX_SYNTAX_ERRORS):
        try:
            return parse_python("\n".join(lines))
        except SyntaxError as error:
            if error.lineno is None or not 1 <= error.lineno <= len(lines):
                raise
            lines[error.lineno - 1] = ""
    return parse_python("\n".join(lines))


def _statements(source: str) -> str:
    """The Python of a snippet, without prompts and without commands of notebooks."""
    lines = textwrap.dedent(source).splitlines()
    if any(line.startswith(">>> ") for line in lines):
        lines = [line[4:] for line in lines if line.startswith((">>> ", "... "))]
    # An empty line keeps the line numbers.
    return "\n".join("" if line.lstrip().startswith(("!", "%", "pip install ")) else line for line in lines)
