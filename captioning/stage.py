"""The captioning stage: real images -> `prompts/`, a function from files to files."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial

from captioning.blip import Blip, Generation, resolve_device
from captioning.captioner import Captioner, CaptionerReference
from captioning.copying import copy_images
from captioning.parts import Captioning, caption_part, parts_of, write_part
from captioning.prompt import Prompt
from captioning.selection import Selection
from captioning.skipped import Skipped, skipped_name
from captioning.weights import PinnedCaptioner, pin
from workspace import recipe, records
from workspace.layout import Workspace, part_name
from workspace.progress import Log, task
from workspace.shard import Shard


@dataclass(frozen=True)
class Settings:
    """What the user chose beside the sources. All but the device is in the recipe."""

    captioner: CaptionerReference
    batch_size: int
    part_size: int
    limit: int | None
    device: str
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
    captioner = pin(settings.captioner)
    _pin_recipe(workspace, selections, settings, captioner)
    captioning = Captioning(captioner.name, _loader(captioner, settings.device), settings.batch_size)
    log = Log(workspace, f"caption-{shard.index}-of-{shard.count}")
    parts = parts_of(selections, settings.part_size)
    owed = [part for part in shard.of(parts) if not part.is_done(workspace)]
    with task("captioning", sum(len(part.ids) for part in owed)) as progress:
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
            **asdict(Generation()),
            "batch_size": settings.batch_size,
            "part_size": settings.part_size,
            "limit": settings.limit,
            "max_per_source": settings.max_per_source,
            "copy": settings.copy or None,
            "sources": {selection.source.name: f"sha256:{selection.digest}" for selection in selections},
        },
    )


def _loader(captioner: PinnedCaptioner, device: str) -> Callable[[], Captioner]:
    """Loads the captioner when it is first asked for, and once."""

    @cache
    def load() -> Captioner:
        return Blip(captioner.folder(), resolve_device(device), Generation())

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
