"""A workspace of rows alone, as large as one likes: catalogue, prompts and samples of a campaign without its images.

Made column by column in Arrow, for a Python object a row would take longer than what is measured with it. One try in
twenty was rejected; one generator in fifty made some of its images twice, and one in fifty an image of the generator
before it.
"""

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from captioning.prompt import Prompt
from crawler.catalog import CatalogEntry, Hyperparameters, HyperparameterSources
from samplers.sample import Sample
from workspace import records
from workspace.layout import Workspace, generator_folder, part_name

TRIES = 540
PROMPTS = 500_000
_SOURCES = (("coco", "COCO"), ("laion", "LAION"), ("ffhq", "FFHQ"), ("imagenet", "ImageNet"), ("raise", "RAISE"))
_PROMPTS_A_PART = 10_000
_LIBRARIES = "diffusers=0.39.0, huggingface_hub=1.24.0, safetensors=0.8.0, torch=2.13.0, transformers=5.14.1"


def write_rows(workspace: Workspace, generators: int, parts: int = 1, asked_for: int = PROMPTS) -> None:
    """Write so many parts of each of so many generators, of `TRIES` each, with `PROMPTS` prompts, of which images were
    made from the `asked_for` first ones, and the catalogue."""
    random = np.random.default_rng(0)
    catalog = [_entry(number) for number in range(generators)]
    records.write(workspace.catalog, CatalogEntry, catalog)
    prompts = _prompts(random, PROMPTS)
    for name, _ in _SOURCES:
        own = prompts.filter(pc.equal(prompts["real_source"], name))
        for number, start in enumerate(range(0, len(own), _PROMPTS_A_PART)):
            records.write_table(
                workspace.prompts_of(name) / part_name(number), own.slice(start, _PROMPTS_A_PART).combine_chunks()
            )
    before = _digests(random, TRIES)
    for entry in catalog:
        for number in range(parts):
            digests = _digests(random, TRIES)
            if entry.rank % 50 == 0:
                digests = pa.concat_arrays([digests[:7], before[7:8], digests[8:]])
            asked = prompts.take(pa.array(random.integers(0, asked_for, TRIES)))
            table = _samples(random, entry, asked, digests, np.arange(number * TRIES, (number + 1) * TRIES))
            records.write_table(workspace.samples_of(entry.model_name) / part_name(number), table)
            before = digests


def _entry(number: int) -> CatalogEntry:
    base = ("stable-diffusion-v1-5/stable-diffusion-v1-5", "stabilityai/stable-diffusion-xl-base-1.0")[number % 2]
    steps, guidance, scheduler = ((20, 7.5, "PNDMScheduler"), (30, 5.0, "EulerDiscreteScheduler"))[number % 2]
    return CatalogEntry(
        model_name=f"author-{number % 1009:04d}/fine-tuned-generator-{number:05d}",
        revision=f"{number:040x}",
        subset="Systematic",
        rank=number + 1,
        downloads=10**6 - number,
        likes=number % 100,
        license=(None, "creativeml-openrail-m", "mit", "apache-2.0")[number % 4],
        license_source="card" if number % 4 else "none",
        license_family=("unknown", "openrail", "open", "open")[number % 4],
        license_effective=(None, "creativeml-openrail-m", "mit", "apache-2.0")[number % 4],
        license_family_effective=("unknown", "openrail", "open", "open")[number % 4],
        hf_pipeline_tag="text-to-image",
        hf_diffusers_tag=("StableDiffusionPipeline", "StableDiffusionXLPipeline")[number % 2],
        architecture="LatDiff",
        architecture_evidence="pipeline class",
        task="text-to-image",
        kind=("checkpoint", "lora")[number // 2 % 2],
        base_model=base,
        lineage=(base, "CompVis/stable-diffusion-v1-4"),
        hyperparameters=Hyperparameters(
            num_inference_steps=steps, guidance_scale=guidance, scheduler=scheduler, negative_prompt="blurry, lowres"
        ),
        hyperparameter_sources=HyperparameterSources(num_inference_steps="card", guidance_scale="default"),
        download_bytes=4 * 10**9,
        crawled_at="2026-01-01T00:00:00Z",
        status="compatible",
    )  # fmt: skip


def _prompts(random: np.random.Generator, count: int) -> pa.Table:
    source = pa.array(np.arange(count) * len(_SOURCES) // count)
    name, title = (pa.array(names).take(source) for names in zip(*_SOURCES, strict=True))
    number = _numbers(np.arange(count), 12)
    real_id = pc.binary_join_element_wise("train2017/", number, ".jpg", "")
    return _table(
        Prompt,
        count,
        prompt_id=pc.binary_join_element_wise(name, real_id, "/"),
        prompt=_sentences(random, count),
        round=1,
        real_source=name,
        real_title=title,
        real_id=real_id,
        real_path=pc.binary_join_element_wise("/data/real", name, real_id, "/"),
        real_sha256=_digests(random, count),
        real_format="JPEG",
        real_width=640,
        real_height=480,
        real_mode="RGB",
        real_file_size=random.integers(20_000, 400_000, count),
        real_jpeg_quality=random.integers(70, 100, count),
        real_chroma_subsampling="4:2:0",
        real_progressive=False,
        real_has_exif=pa.array(random.random(count) < 0.3),
        real_has_icc=False,
        caption_origin="generated",
        captioner="Salesforce/blip-image-captioning-large@353689b859fcf0523410b1806dace5fb46ecdf41",
        license="CC-BY-4.0",
        license_link="https://cocodataset.org/#termsofuse",
        redistributable=pa.array([True, False, True, False, True]).take(source),
    )


def _samples(
    random: np.random.Generator, entry: CatalogEntry, asked: pa.Table, digests: pa.Array, index: np.ndarray
) -> pa.Table:
    image_name = pc.binary_join_element_wise(_numbers(index, 8), ".png", "")
    again = index % 90 == 89 if entry.rank % 50 == 1 else np.zeros(TRIES, bool)
    path = pc.binary_join_element_wise(f"images/{generator_folder(entry.model_name)}", image_name, "/")
    kept = pa.array(index % 20 != 3)
    wanted = entry.hyperparameters

    def of_kept(values: Any) -> pa.Array:
        return pc.if_else(kept, values, None)

    return _table(
        Sample,
        TRIES,
        model_name=entry.model_name,
        revision=entry.revision,
        index=index,
        round=1,
        status=pc.if_else(kept, "ok", "nsfw"),
        image=pa.StructArray.from_arrays([pa.nulls(TRIES, pa.binary()), of_kept(path)], ["bytes", "path"]),
        seed=random.integers(0, 2**53, TRIES),
        batch_size=8,
        call_size=8,
        device="NVIDIA A100-SXM4-80GB",
        dtype="float16",
        vae_dtype="float32",
        scheduler=wanted.scheduler,
        libraries=_LIBRARIES,
        image_name=of_kept(image_name),
        sha256=of_kept(digests.take(pa.array(np.arange(TRIES) - again))),
        file_size=of_kept(random.integers(300_000, 500_000, TRIES)),
        format=of_kept("PNG"),
        mode=of_kept("RGB"),
        width=512,
        height=512,
        nsfw_flag=pc.invert(kept),
        nsfw_score=pc.if_else(kept, pc.negate(random.random(TRIES)), random.random(TRIES)),
        prompt_id=asked["prompt_id"],
        prompt=asked["prompt"],
        negative_prompt=wanted.negative_prompt,
        real_source=asked["real_source"],
        num_inference_steps=wanted.num_inference_steps,
        guidance_scale=wanted.guidance_scale,
    )


def _table(record: type, rows: int, **values: Any) -> pa.Table:
    """A table of a record; a value that is no column is that of all rows, and what is not given has its default."""
    schema = records.schema(record)
    defaults = {field.name: None if field.default is MISSING else field.default for field in fields(record)}
    columns = []
    for field in schema:
        value = values.get(field.name, defaults[field.name])
        if not isinstance(value, pa.Array | pa.ChunkedArray | np.ndarray):
            value = pa.repeat(pa.scalar(value, field.type), rows)
        elif isinstance(value, pa.ChunkedArray):
            value = value.combine_chunks()
        columns.append(pa.array(value).cast(field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _digests(random: np.random.Generator, count: int) -> pa.Array:
    """As many texts of the form of a sha256, each another."""
    offsets = np.arange(count + 1, dtype=np.int32) * 64
    texts = random.bytes(32 * count).hex().encode()
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(texts))


def _numbers(numbers: np.ndarray, digits: int) -> pa.Array:
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), digits, "0")


def _sentences(random: np.random.Generator, count: int) -> pa.Array:
    """Captions of sixty to a hundred characters, of some thousand words."""
    words = pa.array([f"{start}{end}" for start in _STARTS for end in _ENDS])
    chosen: Sequence[pa.Array] = [words.take(pa.array(random.integers(0, len(words), count))) for _ in range(10)]
    return pc.binary_join_element_wise("a photograph of", *chosen, " ")


_STARTS = tuple(a + b for a in "bcdfglmnprstvw" for b in ("a", "ea", "i", "o", "u", "ou"))
_ENDS = ("t", "n", "ll", "nder", "mber", "king", "st", "rdle", "ssing", "m", "ther", "ch")
