"""The import: from what others published to samples of generators, which nobody here sampled."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import Any

from captioning.prompt import prompt_parts, require_all_parts
from captioning.sources.columns import Columns
from crawler.adding import add
from crawler.catalog import CatalogEntry
from crawler.reasons import Reason
from crawler.recipe_files import row_of
from engines.claims import Claims, claims_of
from samplers.assignment.sampled_rounds import pinned_checker
from samplers.foreign.examiner import MAX_FILE, Examiner
from samplers.foreign.image import ForeignImage
from samplers.foreign.storing import store_foreign
from samplers.importing.account import Account, GeneratorAccount, account_of
from samplers.importing.described import Import
from samplers.importing.matching import RealImages
from samplers.importing.options import ImportOptions
from samplers.importing.selection import Selected, select, side_files_of
from samplers.importing.tree import Tree, open_tree
from samplers.options import Store
from samplers.planning.chosen_store import MOST_FILES
from samplers.planning.recipe import BATCHES_A_PART, Recipe, recorded_recipes
from samplers.planning.segments import Segment
from samplers.storage.generator_store import NotReproducibleError
from samplers.weights.fetching import Fetcher
from samplers.weights.process_folder import ProcessFolder, default_weights_dir
from samplers.weights.store import WeightStore
from workspace import recipe as recipes
from workspace.checker import DEFAULT_CHECKER
from workspace.errors import CommunityForensicsError, UsageError, in_one_line
from workspace.extras import require_extra
from workspace.file_system import network_file_system
from workspace.layout import Workspace
from workspace.progress import Task, task

#: The stage of the recipe with what every import of a round has in common.
STAGE = "import"
#: Images that are examined together, and stored as one batch.
_BATCH = 32


def import_images(workspace: Workspace, what: Import, options: ImportOptions = ImportOptions()) -> Account:
    """Import what is not imported yet; the same call continues after an interruption, and mends what is damaged.

    Raises `UsageError` where the path, the tables or the workspace do not fit, `HubError`, and
    `CommunityForensicsError` without a working safety checker, or while another process imports the same generator.
    """
    require_extra("import", "cf-import")
    require_all_parts(workspace)
    if options.report is not None and not options.report.absolute().parent.is_dir():
        raise UsageError(f"--report {options.report}: there is no such folder")
    images = {one.image_column for one in (what.split, *what.generators) if one is not None}
    if len(images) > 1:
        raise UsageError("all generators of an import have one image_column")
    tree = open_tree(what.path, Columns(images.pop(), None), options.hub)
    found, unclaimed = select(tree, what)
    selected = [each for each in found if each.names]
    remarks = [each.missing for each in found if each.missing is not None]
    entries = [_entry(tree, each) for each in selected]
    settings = _settings(workspace, options, sum(len(each.names) for each in selected))
    added = add(workspace, entries, options.update)
    for number in sorted({entry.round for entry in added.entries}):
        recipes.add(workspace, STAGE, settings, number)
    accounts: list[GeneratorAccount] = []
    with ExitStack() as stack:
        claims = stack.enter_context(claims_of(workspace, "sample"))
        folder = stack.enter_context(ProcessFolder(options.weights_dir or default_weights_dir()))
        store = WeightStore(folder, Fetcher(options.hub))
        repo_id, _, commit = str(settings["safety_checker"]).partition("@")
        examiner = stack.enter_context(
            Examiner(lambda: store.fetch_checker(repo_id, commit), options.device, hashes=options.similar is not None)
        )
        bar = stack.enter_context(task("importing", sum(len(each.names) for each in selected)))
        for each, entry in zip(selected, added.entries, strict=True):
            accounts.append(_import_one(workspace, tree, each, entry, settings, claims, examiner, bar))
    captioned = {part.parent.name for part in prompt_parts(workspace)}
    tied = {one.real_source for one in (each.generator for each in selected) if one.match != "none"}
    remarks += [
        f"no image is tied to one of {source}, of which this workspace has no captions: `cf-caption` comes before"
        for source in sorted(tied - captioned - {None}, key=str)
    ]
    for prompts in {id(each.prompts): each.prompts for each in selected}.values():
        remarks += prompts.remarks
    account = Account(accounts, unclaimed, tree.others, remarks)
    if options.report is not None:
        account.write(options.report)
    return account


def _import_one(
    workspace: Workspace,
    tree: Tree,
    selected: Selected,
    entry: CatalogEntry,
    settings: dict[str, Any],
    claims: Claims,
    examiner: Examiner,
    bar: Task,
) -> GeneratorAccount:
    count = len(selected.names)
    recipe = Recipe(
        round=entry.round,
        images=count,
        batch_size=_BATCH,
        max_tries=count,
        seed=0,
        steps=None,
        safety_checker=str(settings["safety_checker"]),
        prompts=None,
        store=settings["store"],
        batches_a_part=BATCHES_A_PART,
    )
    # No number of images ends it: every file has a row.
    segment = Segment(recipe=recipe, settings=entry.hyperparameters, first=0, stop=count, images=count + 1)
    real = RealImages.read(workspace, selected.generator.real_source, selected.generator.match)
    with claims.claim(entry.generator) as mine:
        if not mine:
            raise CommunityForensicsError(
                f"{entry.generator} is imported by another process{claims.holder(entry.generator)}: wait until it ends"
            )
        if workspace.remote is not None:
            workspace.remote.bring(entry.generator, whole=True)
        try:
            stored = store_foreign(
                workspace,
                claims,
                entry,
                [segment],
                lambda first, stop: _images(tree, selected, real, first, stop),
                examiner,
                origin="imported",
                similar=settings["similar"] if settings["similar"] >= 0 else None,
                advance=lambda rows: bar.advance(rows, note=entry.generator),
            )
        except NotReproducibleError as error:
            raise CommunityForensicsError(f"{entry.generator}: {error}") from error
    bar.advance(max(0, count - stored.new))
    return account_of(workspace, entry.generator, stored.new)


def _images(tree: Tree, selected: Selected, real: RealImages, first: int, stop: int) -> Iterator[ForeignImage]:
    """The images [first, stop) of a generator, read one after the other."""
    source = selected.generator.real_source
    for name in selected.names[first:stop]:
        metadata: dict[str, Any] = {}
        known: dict[str, Any] = {"original_name": name, "real_source": source}
        try:
            said = selected.prompts.of(name)
            known |= {"prompt": said.prompt, "prompt_source": said.source, "negative_prompt": said.negative_prompt}
            if said.row:
                metadata["row"] = dict(said.row)
        except OSError as error:
            metadata["unread"] = f"what is said beside it: {_reason(error)}"
        known["prompt_id"] = real.prompt_id(name, known.get("prompt"))
        suffix = PurePosixPath(name.rpartition("#")[2] if "#row=" not in name else "").suffix
        try:
            content = tree.read(name, MAX_FILE + 1)
        except OSError as error:
            yield ForeignImage(content=None, status="broken", detail=_reason(error), metadata=metadata, **known)
            continue
        yield ForeignImage(content=content, suffix=suffix, metadata=metadata, **known)


def _entry(tree: Tree, selected: Selected) -> CatalogEntry:
    """The row of a generator; its revision is a hash of all that its rows depend on."""
    one = selected.generator
    content = tree.revision(selected.names, side_files_of(selected.prompts, selected.names))
    chosen = [
        one.folder,
        one.first_folder,
        dict(one.where),
        one.image_column,
        one.prompt_column,
        one.real_source,
        one.match,
    ]
    digest = hashlib.sha256(json.dumps([content, selected.names, chosen], ensure_ascii=True).encode()).hexdigest()
    return row_of(
        one.recipe,
        revision=digest,
        status="incompatible",
        reason=Reason.IMPORTED,
        reason_detail=f"its {len(selected.names):,} images were made elsewhere",
    )


def _settings(workspace: Workspace, options: ImportOptions, images: int) -> dict[str, Any]:
    """The table [import] of the recipe: as it is where there is one, as far as the options leave it open."""
    sampled = recorded_recipes(workspace)
    former = recipes.latest(workspace, STAGE) or {}
    checker = options.safety_checker or former.get("safety_checker")
    if checker is None:
        checker = sampled[-1].safety_checker if sampled else DEFAULT_CHECKER
    store: Store | str = options.store
    if store == "auto":
        store = former.get("store") or (sampled[-1].store if sampled else _store(workspace, images))  # type: ignore[assignment]
    if sampled and store != sampled[-1].store:
        raise UsageError(
            f"--store is {store} and this workspace was sampled with {sampled[-1].store}: it is the same everywhere"
        )
    similar = -1 if options.similar is None else options.similar
    return {"safety_checker": pinned_checker(str(checker), options.hub), "store": store, "similar": similar}


def _store(workspace: Workspace, images: int) -> Store:
    """As `samplers.planning.chosen_store`."""
    many = images > MOST_FILES or workspace.remote is not None or network_file_system(workspace.root) is not None
    return "parquet" if many else "files"


def _reason(error: OSError) -> str:
    return (error.strerror or in_one_line(error, 150, named=False))[:200]
