"""The captioning stage: real images, and own prompts -> `prompts/`, a function from files to files."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType

from captioning.captioner import Captioner, CaptionerReference
from captioning.copying import copy_images
from captioning.decoders import Decoders
from captioning.generation import Generation
from captioning.growth import BY_ROUND, parts_of_round
from captioning.lavis.backend import lavis_python, load_lavis
from captioning.moving import move_roots
from captioning.named_roots import NamedRoots, below_roots, folders_of
from captioning.options import Backend, CaptionOptions
from captioning.own_prompt_parts import own_part
from captioning.prompt import Prompt, require_this_version
from captioning.prompt_parts import Captioning, Part, caption_part, write_part
from captioning.removed_prompts import separated
from captioning.sandboxed_captioner import load_sandboxed
from captioning.selection import Selection, select_all
from captioning.skipped import Skipped
from captioning.sources.columns import Columns
from captioning.sources.own_prompts import OwnPrompts, PromptSets, read_prompt_sets
from captioning.target_size import JPEG_DETAIL
from captioning.weights import PinnedCaptioner, pin
from engines.engine import Engine
from workspace import recipe, records
from workspace.batch_system import device_of_process
from workspace.device import chosen_device
from workspace.errors import CommunityForensicsError, UsageError, in_one_line
from workspace.exclusive import alone
from workspace.extras import require_extra
from workspace.layout import Workspace
from workspace.process_folder import SILENT_SECONDS
from workspace.progress import Log, one_of_many, task
from workspace.recipe import Setting
from workspace.removed import read_removals
from workspace.roots import read_roots, record_roots
from workspace.sandbox.walls import walls_text
from workspace.shard import Shard
from workspace.terminal import say


@dataclass(frozen=True)
class SourceSummary:
    """What the workspace holds of one source, or of one set of own prompts, of all shards together, counted from the
    rows.

    `images`: selected images, or lines of own prompts. `parts_done` of `parts` are finished; their images have a
    caption of the data set (`from_dataset`), a generated one (`generated`), or none (`skipped`, by reason). `own`: how
    many own prompts can be used; None: a source of real images.
    """

    name: str
    images: int
    parts_done: int
    parts: int
    from_dataset: int
    generated: int
    own: int | None
    skipped: Counter[str]


def caption(
    workspace: Workspace,
    sources: Mapping[str, str | Path] = MappingProxyType({}),
    options: CaptionOptions = CaptionOptions(),
    wait: float | None = None,
) -> list[SourceSummary]:
    """Caption those parts of this shard that are not finished, or damaged; returns what the workspace then holds of
    each source. With an engine, all parts are captioned, each process with a share of them.

    `sources`: the name of each source -> the folder, tar archive or Parquet file of its images, or a data set of the
    Hub as hf://ORG/NAME[@REVISION][:CONFIG[/SPLIT]]. Known names (`captioning.sources.registry.KNOWN`) are read with
    their captions and licences. Own prompts (`options.prompts`) need no source. An interrupted run is continued by the
    same call. With `options.roots` alone nothing is captioned: it is recorded where the images are now. `wait`: seconds
    for which another process may caption this shard; None: a few.

    Raises `UsageError` when a source, the captioner or the device cannot be used, or when the workspace was made with
    other settings; `HubError` when the Hub does not give a source or the captioner; `CommunityForensicsError` while
    another process captions this shard.
    """
    if not sources and not options.prompts and options.roots:
        move_roots(workspace, options.roots)
        return []
    if sources:
        require_extra("caption", "cf-caption")
    if options.backend == "lavis":
        lavis_python()
    engine = _engine_of(options)
    reference = CaptionerReference.parse(options.captioner)
    columns = Columns(options.image_column, options.caption_column)
    given = folders_of(options.roots)
    files = _read_prompts(workspace, options, given)
    own = [one for file in files.values() for one in file.sets]
    selected = select_all(sources, options.limit, options.max_per_source, options.hub, columns, own)
    roots = below_roots(selected, given, _pinned_roots(workspace))
    selections = roots.selections
    captioner = pin(reference, options.hub)
    # Created only now, so that a mistake in the sources leaves no folder behind.
    Workspace.open(workspace.root)
    settings = _settings(roots, files, options, captioner)
    of_round = parts_of_round(workspace, selections, options.part_size, settings, options.update)
    parts = of_round.parts
    shard = Shard.parse(options.shard)
    with _write_errors(workspace.root):
        recipe.pin(workspace, "caption", {**settings, **of_round.settings}, options.update, by_round=BY_ROUND)
        former = record_roots(workspace, roots.folders)
    remarks = [
        f"{name}: images are now read from {roots.folders[name]} (before: {path})" for name, path in former.items()
    ]
    _require_this_version(workspace, parts)
    if engine is not None:
        _caption_on(engine, workspace, sources, options)
        return [_summary(workspace, selection, of_round.numbers[selection.source.name]) for selection in selections]
    with alone(workspace, f"caption-{shard.index}-of-{shard.count}", wait):
        pending = [part for part in shard.of(parts) if not part.is_whole(workspace)]
        _caption_parts(workspace, pending, of_round.numbers, captioner, options, [*of_round.remarks, *remarks])
    return [_summary(workspace, selection, of_round.numbers[selection.source.name]) for selection in selections]


def _engine_of(options: CaptionOptions) -> Engine | None:
    """The engine, which divides the work itself and gives each process a GPU. None: this process does the work."""
    engine = options.open_engine()
    if engine is not None and options.shard != CaptionOptions.shard:
        raise UsageError(f"--shard {options.shard}: an engine divides the work itself: leave out --shard")
    if engine is not None and options.device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {options.device}: an engine gives each process its own GPU: leave out --device")
    return engine


def _caption_on(
    engine: Engine, workspace: Workspace, sources: Mapping[str, str | Path], options: CaptionOptions
) -> None:
    """Caption all parts in the processes of an engine, each of which has a GPU, or a machine where it has none."""
    gpus = 0 if options.device == "cpu" or not sources else 1
    count = options.processes or (engine.workers(gpus) if gpus else engine.machines())
    alone_options = replace(options, engine="local", address=None, processes=None)
    shares = [
        _Share(workspace.root.resolve(), dict(sources), replace(alone_options, shard=f"{number}/{count}"))
        for number in range(1, count + 1)
    ]
    with task("captioning in processes", count) as progress:
        progress.say(f"{count} processes on {engine}")
        for share, _ in engine.run(caption_share, shares, gpus=gpus):
            progress.advance(note=f"share {share.options.shard} has ended")


@dataclass(frozen=True)
class _Share:
    """What one process of an engine is told."""

    workspace: Path
    sources: dict[str, str | Path]
    options: CaptionOptions


def caption_share(share: _Share) -> None:
    """Caption a share of the parts, in a process of an engine.

    One that was lost with its machine counts as at work until it is silent for long: so long another one waits.
    """
    count = int(share.options.shard.partition("/")[2])
    with one_of_many(count):
        caption(Workspace(share.workspace), share.sources, share.options, wait=1.5 * SILENT_SECONDS)


def _caption_parts(
    workspace: Workspace,
    pending: Sequence[Part],
    numbers: Mapping[str, int],
    captioner: PinnedCaptioner,
    options: CaptionOptions,
    remarks: Sequence[str],
) -> None:
    """Caption the pending parts, after the `remarks`; `numbers`: how many parts each source has in all."""
    shard = Shard.parse(options.shard)
    removals = read_removals(workspace)
    with _write_errors(workspace.root):
        log = Log(workspace, f"caption-{shard.index}-of-{shard.count}")
    with (
        Decoders(options.workers) as decoders,
        task("captioning", sum(len(part.ids) for part in pending)) as progress,
    ):

        def remark(line: str) -> None:
            progress.say(line)
            log.event("remark", text=line)

        for line in remarks:
            remark(line)
        for selection in {part.selection.source.name: part.selection for part in pending}.values():
            for line in selection.collection.remarks:
                remark(f"{selection.source.name}: {line}")
        captioning = Captioning(
            _name_in_rows(captioner, options.backend),
            _loader(captioner, options),
            options.batch_size,
            decoders.decode,
            options.hub,
            _once_for_each_source(remark),
        )
        told, without_removed = "", set[str]()
        for part in pending:
            name = part.selection.source.name
            make = own_part if isinstance(part.selection.collection, OwnPrompts) else caption_part
            result = make(part, captioning, partial(progress.advance, 1, name))
            result.prompts, result.removed = separated(result.prompts, removals)
            with _write_errors(workspace.root):
                if options.copy:
                    result.prompts = copy_images(workspace, result.prompts, options.hub)
                write_part(workspace, part, result, numbers)
                log.event(
                    "part",
                    source=name,
                    number=part.number,
                    prompts=len(result.prompts),
                    skipped=Counter(row.reason for row in result.skipped),
                    removed=len(result.removed),
                    dropped_captions=result.dropped,
                    walls=decoders.walls,
                )
            if result.removed and name not in without_removed:
                without_removed.add(name)
                remark(f"{name}: real images that were removed from this workspace (`cf-remove`) give no prompt")
            if decoders.walls is not None and (text := walls_text(decoders.walls)) not in ("", told):
                told = text
                remark(f"captioned {text}")


def _once_for_each_source(remark: Callable[[str], None]) -> Callable[[str, str], None]:
    """A function that passes on the first remark about each source."""
    seen: set[str] = set()

    def once(source: str, line: str) -> None:
        if source not in seen:
            seen.add(source)
            remark(f"{source}: {line}")

    return once


def _read_prompts(workspace: Workspace, options: CaptionOptions, given: Mapping[str, Path]) -> dict[str, PromptSets]:
    """The files of own prompts, by name; their images are below the root of that name, `given` or recorded."""
    former = {name: Path(path) for name, path in read_roots(workspace).items() if Path(path).is_dir()}
    files: dict[str, PromptSets] = {}
    for text in options.prompts:
        file = read_prompt_sets(str(text), {**former, **given})
        if file.name in files:
            raise UsageError(
                f"--prompts {file.name} is duplicated: give each file its own name, as --prompts NAME=FILE"
            )
        files[file.name] = file
    return files


def _pinned_roots(workspace: Workspace) -> dict[str, str]:
    """Which root each source is below, as the recipe has it."""
    if not workspace.recipe.exists():  # also where the workspace's path is none, which is an error later
        return {}
    pinned: dict[str, str] = {}
    for one in recipe.rounds(workspace):
        roots = one.tables.get("caption", {}).get("roots", {})
        pinned |= {name: str(root) for name, root in roots.items()} if isinstance(roots, dict) else {}
    return pinned


def _settings(
    roots: NamedRoots, files: Mapping[str, PromptSets], options: CaptionOptions, captioner: PinnedCaptioner
) -> dict[str, Setting | None]:
    """The settings that change a row, for the recipe."""
    sources = [one for one in roots.selections if not isinstance(one.collection, OwnPrompts)]
    return {
        "captioner": captioner.name,
        "backend": options.backend,
        **asdict(Generation()),
        "jpeg_detail": JPEG_DETAIL,
        "batch_size": options.batch_size,
        "part_size": options.part_size,
        "limit": options.limit,
        "max_per_source": options.max_per_source,
        "copy": options.copy or None,
        "image_column": options.image_column,
        "caption_column": options.caption_column,
        "sources": {selection.source.name: f"sha256:{selection.digest}" for selection in sources} or None,
        "roots": roots.pinned or None,
        "prompts": {name: file.digest for name, file in files.items()} or None,
    }


@contextmanager
def _write_errors(folder: Path) -> Iterator[None]:
    """A block that writes below a folder; raises `CommunityForensicsError` with what to do when the system refuses."""
    try:
        yield
    except OSError as error:
        cause = os.strerror(error.errno) if error.errno is not None else in_one_line(error, 150)
        raise CommunityForensicsError(
            f"{error.filename or folder} cannot be written ({cause}): free space on the disk or change the permissions "
            f"of {folder}, then run the same command again"
        ) from error


def _require_this_version(workspace: Workspace, parts: Sequence[Part]) -> None:
    """Refuse to continue prompts that another version began: the first finished part of each source is looked at."""
    first: dict[str, Part] = {}
    for part in parts:
        if part.selection.source.name not in first and part.is_finished(workspace):
            first[part.selection.source.name] = part
    for part in first.values():
        with suppress(records.DamagedFileError):  # made again
            require_this_version(part.path(workspace))


def _name_in_rows(captioner: PinnedCaptioner, backend: Backend) -> str:
    """The captioner as the rows of its captions name it."""
    return captioner.name if backend == "transformers" else f"{captioner.name} ({backend})"


def _loader(captioner: PinnedCaptioner, options: CaptionOptions) -> Callable[[], Captioner]:
    """A function that loads the captioner at its first call."""

    @cache
    def load() -> Captioner:
        folder = captioner.fetch(options.hub)
        wanted = device_of_process(options.device, options.shard)
        loaded: Captioner
        if options.backend == "lavis":
            loaded = load_lavis(folder, chosen_device(wanted), Generation())
        else:
            loaded = load_sandboxed(folder, wanted, Generation())
        if wanted.startswith("auto") and loaded.device == "cpu":
            say("no GPU was found: captions are generated on the CPU, which takes seconds for each image", err=True)
        return loaded

    return load


def _summary(workspace: Workspace, selection: Selection, parts: int) -> SourceSummary:
    """What the workspace holds of a source that has so many parts."""
    origins: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    finished = [part for number in range(parts) if (part := Part(selection, number, ())).is_whole(workspace)]
    for part in finished:
        rows = records.read_table(part.path(workspace), Prompt, ["caption_origin"])
        origins.update(rows["caption_origin"].to_pylist())
        skipped = part.skipped_path(workspace)
        if skipped.exists():
            reasons.update(records.read_table(skipped, Skipped, ["reason"])["reason"].to_pylist())
    return SourceSummary(
        name=selection.source.name,
        images=len(selection.ids),
        parts_done=len(finished),
        parts=parts,
        from_dataset=origins["dataset"],
        generated=origins["generated"],
        own=origins["user"] if isinstance(selection.collection, OwnPrompts) else None,
        skipped=reasons,
    )
