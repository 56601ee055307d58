import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.card.markdown import parse_markdown
from crawler.card.settings_in_text import MAX_SCALE, MAX_STEPS, read_settings


def read_text(body: str) -> dict[str, int | float | str]:
    return read_settings(parse_markdown(body))


@pytest.mark.parametrize(
    "body",
    [
        "Steps: 30, CFG scale: 7",
        "- Steps: 30\n- CFG scale: 7\n",
        "* **Sampling steps:** 30\n* **CFG**: 7.0 (softer below)\n",
        "1. `num_inference_steps`: 30\n2. cfg_scale=7",
        "Recommended settings: Steps: 30 | CFG Scale: 7",
        "| Setting | Value |\n|---|:-:|\n| Steps | 30 |\n| CFG | 7 | \n",
        "| Setting | Value | Note |\n|---|---|---|\n| Steps | `30` | more is slower |\n| CFG | 7 | 6-8 work |\n",
        "| Steps | CFG | Seed |\n|--|--|--|\n| 30 | 7 | 1 |\n",
        "<ul><li><b>Steps:</b> 30</li><li>CFG: 7</li></ul>",
        "```\nSteps: 30, Sampler: secret, CFG scale: 7, Seed: 1\n```",
        "Setting | Value\n--- | ---\nSteps | 30\nCFG | 7\n",
        "Steps | CFG\n:-: | :-:\n30 | 7\n",
        "> Setting | Value\n> --- | ---\n> Steps | 30\n> CFG | 7\n",
        "> - Steps: 30\n> - CFG: 7\n",
        "Under the picture:\n\n    Steps: 30, CFG scale: 7\n",
        "```\nSteps: 30 Sampler: secret CFG scale: 7 Size: 5\n```",
        "- Settings\n\n      Steps: 30\n      CFG: 7\n",
        "Steps: 30\nCFG: 7\n---\n",
        "**Steps: 30**\n\n**CFG: 7**\n",
        "_Steps: 30, CFG scale: 7_\n",
        "• Steps: 30\n• CFG: 7\n",
        "- **Trained for 20 hours**\n- Steps: 30\n- CFG: 7\n",
        "Settings\n--------\n<b>Steps:</b> 30<br>CFG: 7\n",
        "Trained by Hanna\n-----\nSteps: 30, CFG: 7\n",
    ],
)
def test_settings_in_a_regular_form_are_found(body: str) -> None:
    found = read_text(f"# Model\n\n{body}\n")
    assert {name: found.get(name) for name in ("num_inference_steps", "cfg")} == {"num_inference_steps": 30, "cfg": 7.0}


@pytest.mark.parametrize(
    "body",
    [
        "Steps: 20-30",
        "Steps: 5~7",
        "Steps: 20 to 30",
        "Steps: 30+",
        "Steps: 30 (20-40 work)",
        "Steps: 30, 40",
        "Steps: 30\n\nSteps: 40",
        "Steps: 30\n\nSteps: 25-40",
        "Steps: 0",
        f"Steps: {MAX_STEPS + 1}",
        f"CFG: {MAX_SCALE + 1}",
        "We took 30 steps",
        "Hires steps: 30",
        "# Training\n\nSteps: 30",
        "## Training\n\n### Details\n\nSteps: 30",
        "Training details\n----------------\n\nSteps: 30",
        "Training\n===\nSteps: 30\n\nDetails\n---\nSteps: 30",
        "> ## Training\n>\n> Steps: 30",
        "<h3>Training</h3>\nSteps: 30",
        "Training | Value\n--- | ---\nLearning rate | 1e-4\nSteps | 30\n",
        "**Training parameters:**\n\n- Steps: 30",
        "- Steps: 30\n\n- Learning rate: 1e-4",
        "## Image-to-image\n\nSteps: 30",
        "Training settings:\n\nSteps: 30",
        "**Training settings**\n\nSteps: 30",
        "## Training\n\nDetails:\n\nSteps: 30",
        "Steps: 30.5",
        "```python\nsteps: 30\n```",
        "```yaml\nsteps: 30\n```",
        "```\nimport torch\nsteps: 30\n```",
        "<!-- Steps: 30 -->",
        "| Model | Steps |\n|---|---|\n| a | 30 |\n| b | 50 |",
        "| Setting | Fast | Good |\n|---|---|---|\n| Steps | 4 | 30 |",
        "| Parameter | Type |\n|---|---|\n| Steps | int |",
        "Resolution: 1024",
        "Size: 512x512\n\nSize: 512x768",
        "Sampler: Euler a or DDIM",
        "Sampler: DPM++ SDE",
        "Negative prompt: none needed",
    ],
)
def test_a_statement_without_one_clear_value_is_skipped(body: str) -> None:
    assert read_text(f"# Model\n\n{body}\n") == {}


def test_a_section_after_training_is_read() -> None:
    assert read_text("# M\n## Training\nSteps: 90\n## Usage\nSteps: 30\n") == {"num_inference_steps": 30}
    assert read_text("M\n==\nTraining\n--\nSteps: 90\n\nUsage\n--\nSteps: 30\n") == {"num_inference_steps": 30}


def test_the_first_heading_is_the_name_of_the_model() -> None:
    assert read_text("# Fine-tuned SDXL\nSteps: 30\n") == {"num_inference_steps": 30}


def test_a_height_of_its_own_contradicts_a_size() -> None:
    assert read_text("Size: 512x768\n\nHeight: 640\n") == {"height": 640}


@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [
        ("Euler a", "EulerAncestralDiscreteScheduler"),
        ("DPM++ 2M", "DPMSolverMultistepScheduler"),
        ("Euler_a", "EulerAncestralDiscreteScheduler"),
        ("`ddim`", "DDIMScheduler"),
        ("`EulerDiscreteScheduler`", "EulerDiscreteScheduler"),
        ("FlowMatchEulerDiscreteScheduler.", "FlowMatchEulerDiscreteScheduler"),
    ],
)
def test_a_sampler_is_a_scheduler_class(sampler: str, scheduler: str) -> None:
    assert read_text(f"Sampler: {sampler}\n") == {"scheduler": scheduler}


def test_settings_that_web_uis_write_below_an_image_are_found() -> None:
    picture = (
        "a cat\nNegative prompt: dog, (ugly:1.3)\nSteps: 9, Sampler: Euler a, CFG scale: 6.5, Seed: 3, Size: 512x768"
    )
    assert read_text(picture) == {
        "num_inference_steps": 9,
        "cfg": 6.5,
        "width": 512,
        "height": 768,
        "scheduler": "EulerAncestralDiscreteScheduler",
        "negative_prompt": "dog, (ugly:1.3)",
    }


@settings(max_examples=50)
@given(
    st.lists(st.text(max_size=20) | st.sampled_from(["\n", "|", "Steps:", "30", "# ", "```\n", ",", "CFG=", "- ", "x"]))
)
def test_no_text_raises_and_values_are_plausible(pieces: list[str]) -> None:
    found = read_text("".join(pieces))
    steps, scale = found.get("num_inference_steps", 1), found.get("cfg", 0.0)
    assert isinstance(steps, int)
    assert 1 <= steps <= MAX_STEPS
    assert isinstance(scale, float)
    assert 0 <= scale <= MAX_SCALE


@pytest.mark.parametrize(
    ("sampler", "settings"),
    [
        ("DPM++ 2M Karras", {"use_karras_sigmas": True}),
        ("DPM++ 2M SDE", {"algorithm_type": "sde-dpmsolver++"}),
        ("DPM++ 2M SDE Karras", {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True}),
        ("LMS Karras", {"use_karras_sigmas": True}),
        ("Euler a Karras", None),
        ("Euler", None),
    ],
)
def test_a_sampler_can_say_settings_of_its_class(sampler: str, settings: dict[str, object] | None) -> None:
    assert read_text(f"Sampler: {sampler}\n").get("scheduler_config") == settings


def test_samplers_of_one_class_agree_on_the_class_only() -> None:
    assert read_text("Sampler: DPM++ 2M\n\nSampler: DPM++ 2M Karras\n") == {"scheduler": "DPMSolverMultistepScheduler"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("**Euler A or DPM++ 2M Karras with 25 steps**", {"num_inference_steps": 25}),
        (
            "I recommend Euler a with 25 steps.",
            {"num_inference_steps": 25, "scheduler": "EulerAncestralDiscreteScheduler"},
        ),
        ("Use 8 steps and guidance scale of 1.5", {"num_inference_steps": 8, "guidance_scale": 1.5}),
        ("## Please use a CFG around 9.0 for the best quality!", {"cfg": 9.0}),
        ("For me the sweet spot is around 30 steps, cfg 8.", {"num_inference_steps": 30, "cfg": 8.0}),
        (
            "**Parameters:** Euler A, CFG Scale 7, 30 Steps, 640x360px",
            {
                "num_inference_steps": 30,
                "cfg": 7.0,
                "width": 640,
                "height": 360,
                "scheduler": "EulerAncestralDiscreteScheduler",
            },
        ),
        ("You should set the size to 512x768.", {"width": 512, "height": 768}),
        ("- Res: 832x1216", {"width": 832, "height": 1216}),
        ("*(Sampler: secret, Steps: 16, CFG: 7)*", {"num_inference_steps": 16, "cfg": 7.0}),
        (
            "They are: *Steps: 28, Sampler: DDIM, CFG scale: 11*",
            {"num_inference_steps": 28, "cfg": 11.0, "scheduler": "DDIMScheduler"},
        ),
        ("I made all pictures with 30 steps and a guidance of 7.", {"num_inference_steps": 30, "guidance_scale": 7.0}),
    ],
)
def test_settings_in_sentences_are_found(text: str, found: dict[str, object]) -> None:
    assert read_text(f"# Model\n\n{text}\n") == found


@pytest.mark.parametrize(
    "text",
    [
        "We recommend 20-30 steps and a CFG of 5 to 7.",
        "We recommend at least 25 steps, and a CFG scale below 8.",
        "It was trained with 25 steps, which is best.",
        "Best results after 5000 steps.",
        "0 Hires steps are best.",
        "Hires. fix with 15 Steps works well.",
        "It makes good images in 4 seconds with 25 steps.",
        "Use the 8-step LoRA or the 4 steps model.",
        "Reduce the CFG to 5 for the best result.",
        "If you want details, use 50 steps.",
        "Use a ControlNet guidance scale of 2.",
        "We suggest a video guidance scale of 7.",
        "Use 20 steps.\n\nUse 30 steps.",
        "Use 20 steps.\n\nThe best are 20 to 30 steps.",
        "Recommended: CFG Scale 3,5 - 7",
        "The best resolutions are greater than 512x512.",
        "Use sizes such as 512x768 or 768x512 px.",
        "The picture has 512x512 pixels.",
        "A cat with 25 steps.",
        "Regularization images were made using 50 DDIM steps and a CFG of 7.",
        "Steps: 85, CFG scale: 7, Size: 576x832, Denoising strength: 0.75, Mask blur: 4",
        "Steps: 85, Sampler: DDIM, CFG scale: 7, Denoising strength: 0.75",
        "It is a formulation of the Euler scheduler, for which `guidance_scale=5.0` is a good default.",
        "## Training\n\nUse 20 steps.",
    ],
)
def test_sentences_without_one_clear_recommendation_are_skipped(text: str) -> None:
    assert read_text(f"# Model\n\n{text}\n") == {}


def test_sizes_of_other_things_are_no_size() -> None:
    text = "Steps: 9, Sampler: secret, Size: 512x768, Batch size: 4, First pass size: 64x64, Hires sampler: DDIM"
    assert read_text(text) == {"num_inference_steps": 9, "width": 512, "height": 768}


def test_an_enlarged_image_is_made_from_text() -> None:
    for text in ("Hires upscale: 2", "First pass size: 0x0"):
        assert read_text(f"Steps: 20, CFG scale: 7, Denoising strength: 0.6, {text}") == {
            "num_inference_steps": 20,
            "cfg": 7.0,
        }


def test_a_sentence_does_not_speak_against_a_statement() -> None:
    assert read_text("Steps: 30\n\nUse 50 steps.\n\nUse a guidance of 3.\n\nCFG: 7\n") == {
        "num_inference_steps": 30,
        "cfg": 7.0,
    }


@pytest.mark.parametrize(
    "line",
    [
        "use 20 steps. ",
        "euler a ",
        "use 1x",
        "cfg 7 ",
        "20 - 30 ",
        "Steps: 20, Sampler: a, ",
        "use 512x512 at ",
        "a: b, ",
    ],
)
def test_hostile_text_is_read_in_bounded_time(line: str) -> None:
    for text in (line * (2**20 // len(line)), (line * (4000 // len(line)) + "\n") * 300):
        start = time.process_time()
        read_text(text)
        assert time.process_time() - start < 20


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Sampler: DPM++ 2M\nScheduler: Karras", {"use_karras_sigmas": True}),
        ("Sampler: DPM++ 2M\n\nSchedule type: Karras", {"use_karras_sigmas": True}),
        ("Sampler: DPM++ 2M\nScheduler: Normal", None),
        ("Sampler: DPM++ 2M\nScheduler: Normal\n\nScheduler: Karras", None),
    ],
)
def test_the_noise_schedule_of_web_uis_is_no_class(text: str, found: object) -> None:
    settings = read_text(text)
    assert (settings["scheduler"], settings.get("scheduler_config")) == ("DPMSolverMultistepScheduler", found)


def test_a_noise_schedule_alone_names_no_scheduler() -> None:
    assert read_text("Scheduler: Karras") == {}
