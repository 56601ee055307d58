"""The captioning stage: real images -> `prompts/`, a function from files to files."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial

from captioning.blip import Blip
from captioning.captioner import Captioner, CaptionerReference
from captioning.copying import copy_images
from captioning.decoders import Decoders, default_workers
from captioning.generation import Generation
from captioning.lavis.backend import Lavis, lavis_python
from captioning.loading import model_class, resolve_device
from captioning.options import Backend
from captioning.prompt import Prompt
from captioning.prompt_parts import Captioning, caption_part, parts_of, write_part
from captioning.selection import Selection
from captioning.skipped import Skipped, skipped_name
from captioning.target_size import JPEG_DETAIL
from captioning.unprompted import Unprompted
from captioning.weights import PinnedCaptioner, pin
from workspace import recipe, records
from workspace.extras import require_extra
from workspace.layout import Workspace, part_name
from workspace.progress import Log, task
from workspace.shard import Shard


@dataclass(frozen=True)
class Settings:
    """What the user chose beside the sources. All but the device and the number of decoding processes (None: one a
    core) is in the recipe."""

    captioner: CaptionerReference
    batch_size: int
    part_size: int
    limit: int | None
    device: str
    workers: int | None = None
    backend: Backend = "transformers"
    max_per_source: int | None = None
    copy: bool = False


@dataclass(frozen=True)
class SourceSummary:
    """What the workspace holds of one source, all shards together, counted from the rows."""

    name: str
    images: int
    parts_done: int
    parts: int
    own: int
    generated: int
    skipped: Counter[str]


def caption(
    workspace: Workspace, selections: Sequence[Selection], settings: Settings, shard: Shard
) -> list[SourceSummary]:
    """Caption this shard's parts of the selected images that are not done yet; returns what there is then.

    Raises `UsageError` when the workspace's recipe says otherwise, `HubError` when the captioner cannot be fetched.
    """
    require_extra("caption", "cf-caption")
    if settings.backend == "lavis":
        lavis_python()
    captioner = pin(settings.captioner)
    _pin_recipe(workspace, selections, settings, captioner)
    log = Log(workspace, f"caption-{shard.index}-of-{shard.count}")
    parts = parts_of(selections, settings.part_size)
    owed = [part for part in shard.of(parts) if not part.is_done(workspace)]
    with (
        Decoders(settings.workers or default_workers()) as decoders,
        task("captioning", sum(len(part.ids) for part in owed)) as progress,
    ):
        load = _loader(captioner, settings)
        captioning = Captioning(_said_by(captioner, settings.backend), load, settings.batch_size, decoders.decode)
        for part in owed:
            name = part.selection.source.name
            captioned = caption_part(part, captioning, partial(progress.advance, 1, name))
            if settings.copy:
                captioned.prompts = copy_images(workspace, captioned.prompts)
            write_part(workspace, part, captioned)
            log.event(
                "part",
                source=name,
                number=part.number,
                prompts=len(captioned.prompts),
                skipped=Counter(row.reason for row in captioned.skipped),
                dropped_captions=captioned.dropped,
            )
    return [_summary(workspace, selection, settings.part_size) for selection in selections]


def _pin_recipe(
    workspace: Workspace, selections: Sequence[Selection], settings: Settings, captioner: PinnedCaptioner
) -> None:
    recipe.pin(
        workspace,
        "caption",
        {
            "captioner": captioner.name,
            "backend": settings.backend,
            **asdict(Generation()),
            "jpeg_detail": JPEG_DETAIL,
            "batch_size": settings.batch_size,
            "part_size": settings.part_size,
            "limit": settings.limit,
            "max_per_source": settings.max_per_source,
            "copy": settings.copy or None,
            "sources": {selection.source.name: f"sha256:{selection.digest}" for selection in selections},
        },
    )


def _said_by(captioner: PinnedCaptioner, backend: Backend) -> str:
    """The captioner as rows name it."""
    return captioner.name if backend == "transformers" else f"{captioner.name} ({backend})"


def _loader(captioner: PinnedCaptioner, settings: Settings) -> Callable[[], Captioner]:
    """Loads the captioner when it is first asked for, and once."""

    @cache
    def load() -> Captioner:
        folder, device = captioner.folder(), resolve_device(settings.device)
        if settings.backend == "lavis":
            return Lavis(folder, device, Generation())
        kind = Blip if model_class(folder) == "BlipForConditionalGeneration" else Unprompted
        return kind(folder, device, Generation())

    return load


def _summary(workspace: Workspace, selection: Selection, part_size: int) -> SourceSummary:
    folder = workspace.prompts_of(selection.source.name)
    origins: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    parts = parts_of([selection], part_size)
    done = [part for part in parts if part.is_done(workspace)]
    for part in done:
        rows = records.read_table(folder / part_name(part.number), Prompt, ["caption_origin"])
        origins.update(rows["caption_origin"].to_pylist())
        skipped = folder / skipped_name(part.number)
        if skipped.exists():
            reasons.update(records.read_table(skipped, Skipped, ["reason"])["reason"].to_pylist())
    return SourceSummary(
        selection.source.name, len(selection.ids), len(done), len(parts), origins["dataset"], origins["blip"], reasons
    )
