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


@settings(deadline=None, max_examples=50)
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
