"""Rows of a real run say what the user set: a setting that does not reach the pipeline is in none."""

from collections.abc import Callable
from dataclasses import replace

from localhub.store import Store
from samplers.options import SampleOptions
from samplers.running.supervisor import sample
from samplers.sample import read_samples
from tests.samplers.conftest import BASE, PIXELS
from tests.samplers.inputs import entry_of
from workspace.layout import Workspace


def test_every_setting_of_the_user_is_in_the_rows(
    store: Store, options: SampleOptions, make_workspace: Callable[..., Workspace]
) -> None:
    workspace = make_workspace(
        entry_of(store, BASE, 1, hf_diffusers_tag="StableDiffusionPipeline"),
        entry_of(store, PIXELS, 2, hf_diffusers_tag="DDIMPipeline"),
    )
    tables = {BASE: {"steps": 3, "scheduler": "EulerDiscreteScheduler", "images": 3}}
    set_ = replace(options, steps=4, width=48, height=32, guidance_scale=2.0, negative_prompt="a blur", settings=tables)
    report = sample(workspace, set_)
    assert [(outcome.status, outcome.kept, outcome.detail) for outcome in report.outcomes] == [
        ("done", 3, None),
        ("done", 2, None),
    ]
    columns = ("num_inference_steps", "width", "height", "guidance_scale", "negative_prompt", "scheduler")
    rows = {
        name: {tuple(getattr(row, one) for one in columns) for row in read_samples(workspace, name)}
        for name in (BASE, PIXELS)
    }
    assert rows == {
        BASE: {(3, 48, 32, 2.0, "a blur", "EulerDiscreteScheduler")},
        PIXELS: {(4, 32, 32, None, None, "DDIMScheduler")},
    }
    assert any("guidance-scale 2.0: 1 generator cannot take it" in note for note in report.pending.notes)
