"""A workspace after a campaign: fine-tunes and an adapter of a generator, logs, what killed processes left."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import tomli_w

from crawler.catalog import ModelFile
from crawler.resume_log import ResumeLog
from samplers.outcomes import Outcome, write_outcome
from samplers.planning.recipe import Recipe
from samplers.sample import ImageFile, Sample
from tests.manifests.making import Builder, fill
from workspace import records
from workspace.journal import Journal
from workspace.layout import Workspace

BASE = "org/painter"


def campaign(root: Path) -> Builder:
    """`fill`, with relatives of `BASE` and every file that names it."""
    builder = fill(Builder(Workspace.open(root)))
    workspace = builder.workspace
    base = builder.catalog[0]
    assert base.model_name == BASE
    tuned = builder.generator(
        "org/tuned",
        base_model=BASE,
        lineage=(BASE, "org/base"),
        tags=(f"base_model:{BASE}", f"base_model:finetune:{BASE}", "diffusers"),
        license_chain=("org/tuned: creativeml-openrail-m", f"{BASE}: creativeml-openrail-m"),
    )
    lora = builder.generator(
        "org/lora",
        kind="lora",
        base_model=BASE,
        base_revision=base.revision,
        lineage=(BASE,),
        files=(ModelFile(path="lora.safetensors", size=1),),
        base_files=(ModelFile(path="unet/model.safetensors", size=122),),
        adapter_file="lora.safetensors",
    )
    for prompt in builder.prompts["photos"]:
        builder.sample(tuned, prompt)
        builder.sample(lora, prompt)
    for entry in builder.catalog:
        rows = builder.samples.get(entry.model_name, [])
        if rows:
            kept = len({row.sha256 for row in rows if row.sha256 is not None})
            said = Outcome(
                model_name=entry.model_name, revision=entry.revision, status="done", kept=kept, tries=len(rows)
            )
            write_outcome(workspace, said)
    write_outcome(
        workspace,
        Outcome(model_name="org/crashing", revision=builder.catalog[4].revision, status="crashed", detail=f"as {BASE}"),
    )
    builder.write()
    workspace.recipe.write_text(tomli_w.dumps(_recipe()))
    _log(workspace)
    _killed(workspace, builder)
    return builder


def _recipe() -> dict[str, object]:
    sampled = Recipe(
        images=9,
        batch_size=4,
        max_tries=20,
        seed=0,
        steps=None,
        safety_checker=f"org/checker@{'c' * 40}",
        prompts=None,
        holdout=[f"name={BASE}"],
        settings={BASE: {"steps": 4}, "org/tuned": {"steps": 5}},
    )
    rounds = [{name: value for name, value in one.table().items() if value is not None}
              for one in (sampled, replace(sampled, images=12))]  # fmt: skip
    return {
        "crawl": {"limit": 9, "include": [], "exclude": ["*/*-gguf"]},
        "sample": rounds[0],
        "round": {"2": {"sample": rounds[1]}},
    }


def _log(workspace: Workspace) -> None:
    workspace.logs.mkdir(exist_ok=True)
    stderr = workspace.stderr_of(BASE)
    stderr.parent.mkdir(parents=True)
    stderr.write_text("Killed\n")
    (workspace.logs / "calibration.json").write_text(json.dumps({"generators": {BASE: 1.5}}))
    lines = {
        "crawl": [{"event": "model", "name": BASE}, {"event": "written", "gone": [BASE, "org/old"]}],
        "sample-1-of-2": [
            {"event": "generator_started", "model_name": BASE},
            {
                "event": "generator_ended",
                "model_name": BASE,
                "detail": f"samples/org--painter/part-00000 of {BASE}.",
            },
            {"event": "generator_started", "model_name": "org/sketcher"},
        ],
        "caption-1-of-1": [
            {"event": "remark", "text": "photos: the captions of 'folder/0.png' cannot be prompts"},
            {"event": "part", "source": "photos", "prompts": 6},
        ],
    }
    for name, events in lines.items():
        text = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
        (workspace.logs / f"{name}.jsonl").write_text(text)


def _killed(workspace: Workspace, builder: Builder) -> None:
    """An interrupted crawl, a batch that is in no part yet, and the folder of a process that was killed."""
    with ResumeLog(workspace) as log:
        for entry in builder.catalog:
            log.add(replace(entry, downloads=1))
    sketched = builder.samples["org/sketcher"]
    number = len(sketched)
    content = builder.picture("org/sketcher", number)
    row = replace(
        sketched[0],
        index=number,
        seed=7 * number,
        image=ImageFile(bytes=content),
        image_name=f"{number:08d}.png",
        sha256=hashlib.sha256(content).hexdigest(),
        file_size=len(content),
    )
    journal = Journal(workspace.samples_of("org/sketcher") / "journal-00000006-0123abcd", Sample, ["image.bytes"])
    journal.append([row])
    journal.close()
    gone = workspace.locks / "sample" / "process-0123456789abcdef-1-1-01234567"
    gone.mkdir(parents=True)
    records.write(gone / "rows.parquet", Sample, builder.samples[BASE][:1])
    (workspace.locks / "sample" / "claim-org--painter").mkdir()
    os.utime(gone, (0, 0))  # silent for long
