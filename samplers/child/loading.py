"""A generator, ready to be called: its pipeline with everything that the catalogue declares, or the reason why not.

The pipeline is loaded (`pipelines`, of two repositories: `combined`), the adapter is put in (`adapters`, `embeddings`),
the scheduler is set (`schedulers`), and what is then in effect is read back and compared with the catalogue
(`effective`).
"""

from dataclasses import dataclass, replace
from typing import Any

from samplers.child.adapters import apply_lora, components_changed_by
from samplers.child.combined import load_combined
from samplers.child.component_cache import ComponentCache, ComponentHandle
from samplers.child.effective import Effective, effective_settings
from samplers.child.embeddings import add_embeddings, add_textual_inversion
from samplers.child.failures import GeneratorError
from samplers.child.file_checks import check_files
from samplers.child.layout import PipelineFolder
from samplers.child.memory import can_offload, place_on_device
from samplers.child.pipelines import Source, load_pipeline
from samplers.child.programs import load_program
from samplers.child.schedulers import set_scheduler
from samplers.child.single_file import SingleFile
from samplers.messages import Assignment
from samplers.sample import Memory


@dataclass(frozen=True)
class Generator:
    """A pipeline that is ready to be called."""

    pipeline: Any
    effective: Effective
    """What is in effect in it."""
    tokens: tuple[str, ...] = ()
    """Tokens of added embeddings, which must be in the prompt."""
    device: str = "cpu"
    memory: Memory | None = None
    """How memory is saved."""
    handles: tuple[ComponentHandle, ...] = ()
    """Components that the next generator may reuse when this one ends well."""


def load(assignment: Assignment, device: str, cache: ComponentCache | None = None) -> Generator:
    """The generator in the assignment's folder, on `device`, with components that `cache` has of it.

    Raises `GeneratorError` (load-failed) when any part of it is missing, damaged or of a class that is not loaded, and
    where something else than the catalogue declares is in effect.
    """
    plan = assignment.plan
    if plan.program is not None:
        return _program(assignment, device, cache)
    if plan.kind != "checkpoint" and assignment.base_folder is None:
        raise GeneratorError("load-failed", "an adapter without a base model")
    for folder in (assignment.folder, assignment.base_folder, assignment.prior_folder):
        if folder is not None:
            check_files(folder)
    own = PipelineFolder.read(assignment.base_folder or assignment.folder)
    source = Source(own, assignment.hashes, plan.variant, plan.allow_pickle)
    if plan.single_file is not None:
        source = replace(source, single_file=_single_file(assignment, plan.single_file, source))
    if assignment.prior_folder is None:
        loaded = load_pipeline(source, device, cache or ComponentCache())
    else:
        prior = PipelineFolder.read(assignment.prior_folder)
        of_prior = Source(prior, assignment.prior_hashes, None, plan.allow_pickle)
        loaded = load_combined(source, of_prior, device, cache or ComponentCache())
    pipeline = loaded.pipeline
    tokens: tuple[str, ...] = ()
    if plan.kind == "lora":
        apply_lora(pipeline, assignment.folder, plan)
        tokens = add_embeddings(pipeline, assignment.folder, plan)
    elif plan.kind == "textual-inversion":
        tokens = add_textual_inversion(pipeline, assignment.folder, plan)
    changed = components_changed_by(plan, pipeline)
    set_scheduler(pipeline, plan)
    pipeline.set_progress_bar_config(disable=True)
    memory = assignment.memory
    if memory == "offload" and not can_offload(pipeline, device):
        memory = "slicing"
    place_on_device(pipeline, device, memory)
    effective = effective_settings(pipeline, plan, dtype=loaded.dtype, variant=loaded.variant, tokens=tokens)
    unchanged = tuple(handle for handle in loaded.handles if handle.identity.name not in changed)
    return Generator(pipeline, effective, tokens, device, memory, unchanged)


def _program(assignment: Assignment, device: str, cache: ComponentCache | None) -> Generator:
    """A program. Its settings are checked by what its function takes (`arguments`): nothing of it can be read back."""
    if cache is not None:
        cache.clear()
    program = load_program(assignment.folder, assignment.plan, device)
    return Generator(program, Effective(dtype=program.dtype), device=device)


def _single_file(assignment: Assignment, path: str, source: Source) -> SingleFile:
    """The checkpoint in one file, for the pipeline that the source's folder configures."""
    file = assignment.folder / path
    if not file.is_file():
        raise GeneratorError("load-failed", f"the generator has no file {path}")
    classes = {name: class_name for name, (_, class_name) in source.folder.components(source.cls).items()}
    return SingleFile.read(file, classes, assignment.single_file_key)
