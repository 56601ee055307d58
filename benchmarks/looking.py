"""What a look costs before anything is sampled: `cf-sample --dry-run` with 50,000 generators and 500,000 prompts.

The alternative reads the same two tables into Arrow, with checksums, and stops: what no look can do without. Each runs
in a process of its own, so that its memory is its own too; seconds are those of the processor.
"""

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from benchmarks.timing import Comparison
from captioning.prompt import Prompt
from crawler.catalog import CatalogEntry, Hyperparameters, HyperparameterSources, ModelFile
from workspace import records
from workspace.layout import Workspace, part_name

GENERATORS, PROMPTS, PROMPTS_A_PART = 50_000, 500_000, 1000
_SOURCES = ("coco", "flickr", "laion", "paintings")
_CONFIGS = (
    *("model_index.json", "scheduler/scheduler_config.json", "text_encoder/config.json", "unet/config.json"),
    *("tokenizer/merges.txt", "tokenizer/special_tokens_map.json", "tokenizer/tokenizer_config.json"),
    *("tokenizer/vocab.json", "vae/config.json"),
)
_WEIGHTS = {
    "text_encoder/model": 492_265_168,
    "unet/diffusion_pytorch_model": 3_438_167_536,
    "vae/diffusion": 334643268,
}
#: One of this number of generators is a LoRA, whose base is one of the first.
_LORA_EVERY, _BASES = 8, 40

#: At the end of a program: its seconds, and the most memory that it had (`ru_maxrss` would count this process's too).
_REPORT = (
    "import atexit, pathlib, re, sys, time; atexit.register(lambda: print(time.process_time(), "
    "re.search(r'VmHWM:\\s*(\\d+)', pathlib.Path('/proc/self/status').read_text())[1], file=sys.stderr)); "
)
_DRY_RUN = (
    "import sys; sys.argv = ['cf-sample', '--dry-run', '--workspace', {0!r}]; from samplers.cli import main; main()"
)
_PLAIN_READ = (
    "import pathlib, pyarrow.parquet as pq; root = pathlib.Path({0!r}); "
    "paths = [root / 'catalog.parquet', *sorted(root.glob('prompts/*/part-*.parquet'))]; "
    "tables = [pq.ParquetFile(path, page_checksum_verification=True).read() for path in paths]"
)


def run() -> Iterator[Comparison]:
    """Seconds and memory of the look, against those of the plain read."""
    with tempfile.TemporaryDirectory(prefix="cf-bench-") as name:
        workspace = Workspace.open(name)
        build(workspace)
        look, look_bytes = _measured(_DRY_RUN, workspace)
        read, read_bytes = _measured(_PLAIN_READ, workspace)
    size = f"{GENERATORS:,} generators and {PROMPTS:,} prompts"
    yield Comparison(f"--dry-run of {size}, s", look, read, "at least 0.15")
    yield Comparison(f"--dry-run of {size}, GB", look_bytes / 1e9, read_bytes / 1e9, "at least 0.5")


def build(workspace: Workspace, generators: int = GENERATORS, prompts: int = PROMPTS) -> None:
    """Write a catalogue and prompts of a campaign: fine-tunes with all their files, LoRAs, four real sources."""
    records.write(workspace.catalog, CatalogEntry, (_entry(number) for number in range(generators)))
    each = prompts // len(_SOURCES)
    for source in _SOURCES:
        for part, first in enumerate(range(0, each, PROMPTS_A_PART)):
            rows = [_prompt(source, number) for number in range(first, min(first + PROMPTS_A_PART, each))]
            records.write(workspace.prompts_of(source) / part_name(part), Prompt, rows)


def _measured(code: str, workspace: Workspace) -> tuple[float, float]:
    """Seconds of the processor and bytes of memory that a program takes on the workspace."""
    command = [sys.executable, "-c", _REPORT + code.format(str(workspace.root))]
    process = subprocess.run(command, check=True, text=True, capture_output=True)
    seconds, kilobytes = process.stderr.splitlines()[-1].split()
    return float(seconds), 1024.0 * int(kilobytes)


def _entry(number: int) -> CatalogEntry:
    name = f"org{number % 97}/model-{number:05}"
    is_lora = number % _LORA_EVERY == _LORA_EVERY - 1 and number >= _BASES
    base = f"org/model-{number % _BASES}"
    files = (_file("pytorch_lora_weights.safetensors", 50_000_000, name),) if is_lora else _checkpoint(name)
    base_files = _checkpoint(base) if is_lora else ()
    license_ = ("creativeml-openrail-m", "mit", "apache-2.0", "openrail++", "cc-by-nc-4.0")[number % 5]
    return CatalogEntry(
        model_name=name,
        revision=_digest(name)[:40],
        endpoint="https://huggingface.co",
        subset="Systematic",
        rank=number + 1,
        downloads=10 * (GENERATORS - number),
        downloads_all_time=90 * (GENERATORS - number),
        likes=number % 50,
        license=license_,
        license_source="card",
        license_family="openrail",
        license_effective=license_,
        license_family_effective="openrail",
        license_chain=(f"{name}: {license_}",),
        hf_pipeline_tag="text-to-image",
        hf_diffusers_tag="StableDiffusionPipeline",
        tags=("diffusers", "safetensors", "stable-diffusion", f"license:{license_}", "region:us"),
        architecture="LatDiff",
        architecture_evidence="unet with a VAE",
        task="text-to-image",
        kind="lora" if is_lora else "checkpoint",
        base_model=base if is_lora else "runwayml/stable-diffusion-v1-5",
        base_revision=_digest(base)[:40] if is_lora else None,
        lineage=("runwayml/stable-diffusion-v1-5",),
        hyperparameters=Hyperparameters(
            num_inference_steps=20 + number % 30, guidance_scale=7.5, height=512, width=512, scheduler="PNDMScheduler"
        ),
        hyperparameter_sources=HyperparameterSources(
            num_inference_steps="card", guidance_scale="card", height="config", width="config", scheduler="config"
        ),
        files=files,
        base_files=base_files,
        adapter_file="pytorch_lora_weights.safetensors" if is_lora else None,
        download_bytes=sum(file.size for file in (*files, *base_files)),
        created_at="2024-05-06T07:08:09Z",
        last_modified="2024-05-06T07:08:09Z",
        crawled_at="2026-01-01T00:00:00Z",
        status="compatible",
    )


def _checkpoint(name: str) -> tuple[ModelFile, ...]:
    """A fine-tune's files: a U-Net of its own, everything else is the family's."""
    configs = [ModelFile(path=path, size=700, git_oid=_digest(path)[:40]) for path in _CONFIGS]
    weights = [
        _file(f"{stem}.safetensors", size, name if stem.startswith("unet") else "") for stem, size in _WEIGHTS.items()
    ]
    return (*configs, *weights)


def _file(path: str, size: int, of: str) -> ModelFile:
    return ModelFile(path=path, size=size, sha256=_digest(f"{of} {path}"))


def _prompt(source: str, number: int) -> Prompt:
    text = _digest(f"{source} {number}")
    return Prompt(
        prompt_id=f"{source}/train/{number:012}.jpg",
        prompt=f"a photograph of {text[:8]} and {text[8:16]} in front of {text[16:40]}",
        real_source=source,
        real_title=source.upper(),
        real_id=f"train/{number:012}.jpg",
        real_path=f"root://{source}/train/{number:012}.jpg",
        real_sha256=text,
        real_format="JPEG",
        real_width=640,
        real_height=480,
        real_mode="RGB",
        real_file_size=100_000 + number,
        real_jpeg_quality=90,
        real_chroma_subsampling="4:2:0",
        real_progressive=False,
        real_has_exif=False,
        real_has_icc=False,
        caption_origin="dataset",
        captions=(f"A photograph of {text[:8]} and {text[8:16]} in front of {text[16:40]}.", "Another caption."),
        license="CC-BY-4.0",
        license_link="https://example.org/terms",
        redistributable=True,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
