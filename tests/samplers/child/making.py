"""Tiny pipelines on the disk, and the assignments that ask for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from crawler.catalog import Hyperparameters
from samplers.child.outbox import Outbox
from samplers.child.safety import SafetyChecker
from samplers.messages import Assignment, FromChild
from samplers.planning.plan import Plan, PlannedSample
from samplers.sample import Sample
from workspace.identity import sha256_of_file

#: Fields of a plan that a test may give besides hyperparameters.
_ABOUT = (
    "program",
    "variant",
    "single_file",
    "sources",
    "adapter_file",
    "embedding_file",
    "embedding_tokens",
    "allow_pickle",
)


class Received(Outbox):
    """Keeps what is sent, as the supervisor gets it."""

    def __init__(self) -> None:
        self.messages: list[FromChild] = []
        self.batches: list[list[Sample]] = []
        self.files: dict[int, bytes] = {}

    def send(self, message: FromChild) -> None:
        self.messages.append(message)

    def announce(self) -> None:
        pass

    def send_batch(self, rows: Sequence[Sample], files: Sequence[bytes]) -> None:
        self.batches.append(list(rows))
        kept = [row.index for row in rows if row.sha256 is not None]
        self.files |= dict(zip(kept, files, strict=True))

    @property
    def rows(self) -> list[Sample]:
        return [row for rows in self.batches for row in rows]


def plan(task: str = "unconditional", kind: str = "checkpoint", tries: int = 4, **hyperparameters: Any) -> Plan:
    prompts = ["a cat", "a dog", "a horse"]
    about = {"variant": None, **{name: hyperparameters.pop(name) for name in _ABOUT if name in hyperparameters}}
    return Plan(
        model_name="org/name",
        revision="a" * 40,
        kind=kind,  # type: ignore[arg-type]
        task=task,  # type: ignore[arg-type]
        **about,
        hyperparameters=Hyperparameters(**{"num_inference_steps": 2, **hyperparameters}),
        batch_size=tries,
        samples=tuple(
            PlannedSample(index=index, seed=100 + index, prompt=prompts[index % 3] if task == "text-to-image" else None)
            for index in range(tries)
        ),
    )


def assignment(folder: Path, base: Path | None = None, **changes: Any) -> Assignment:
    """A generator from its first try on; its files' hashes are known, as the supervisor knows them."""
    memory, prior, key = (changes.pop(name, None) for name in ("memory", "prior", "key"))
    return Assignment(
        plan=plan(**changes),
        memory=memory,
        prior_folder=prior,
        prior_hashes=hashes_of(prior) if prior else {},
        hashes=hashes_of(base or folder),
        single_file_key=key,
        folder=folder,
        base_folder=base,
        call_size=4,
    )


def hashes_of(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in files}


def save_stable_diffusion(folder: Path, **replaced: Any) -> Path:
    from demo.zoo.stable_diffusion import base_unet, pipeline

    pipeline(**{"unet": base_unet(), **replaced}).save_pretrained(folder)
    return folder


def save_lora(folder: Path, trained: bool = True, change: Any = torch.randn_like) -> Path:
    """A LoRA of the UNet that `save_stable_diffusion` saves; `change` makes its tensors from untrained ones."""
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    from demo.zoo.stable_diffusion import base_unet

    unet = base_unet()
    torch.manual_seed(0)
    unet.add_adapter(LoraConfig(r=4, target_modules=["to_q", "to_k", "to_v"]))
    weights = get_peft_model_state_dict(unet)
    if trained:
        weights = {name: change(tensor) for name, tensor in weights.items()}
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=weights)
    return folder


def save_inversion(folder: Path) -> Path:
    folder.mkdir()
    save_file({"<zoo-style>": torch.randn(32)}, folder / "learned_embeds.safetensors")
    return folder


def checker(folder: Path) -> SafetyChecker:
    from demo.zoo.safety import feature_extractor, safety_checker

    safety_checker().save_pretrained(folder)
    feature_extractor().save_pretrained(folder)
    return SafetyChecker(folder, "cpu")


def change_tensors(path: Path, change: Any) -> None:
    """Load a safetensors file, let `change` alter the dictionary, and write it back."""
    tensors: dict[str, torch.Tensor] = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})
