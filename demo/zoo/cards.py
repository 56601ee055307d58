"""Model cards as authors write them: YAML front matter, text, a Python snippet with steps and guidance scale."""

from collections.abc import Mapping
from textwrap import dedent
from typing import Any

SQUARE: dict[str, Any] = {"height": 64, "width": 64}
"""The size in snippets of pipelines with a default of a thousand pixels."""


def card(front_matter: Mapping[str, object] | None, *paragraphs: str) -> str:
    """A README.md of front matter (None: without) and Markdown paragraphs, dedented."""
    import yaml

    body = "\n\n".join(dedent(paragraph).strip() for paragraph in paragraphs) + "\n"
    if front_matter is None:
        return body
    return f"---\n{yaml.safe_dump(dict(front_matter), sort_keys=False, allow_unicode=True)}---\n\n{body}"


def snippet(repo_id: str, prompt: str, *, pipeline: str = "DiffusionPipeline", **arguments: object) -> str:
    """A snippet with its settings in the call."""
    given = "".join(f", {name}={value!r}" for name, value in arguments.items())
    return _python(
        f"from diffusers import {pipeline}",
        "",
        f'pipe = {pipeline}.from_pretrained("{repo_id}")',
        f'image = pipe("{prompt}"{given}).images[0]',
        'image.save("out.png")',
    )


def snippet_with_variables(
    repo_id: str, prompt: str, *, pipeline: str = "DiffusionPipeline", **arguments: object
) -> str:
    """A snippet that assigns its settings to variables first."""
    return _python(
        "import torch",
        f"from diffusers import {pipeline}",
        "",
        f'model_id = "{repo_id}"',
        f"pipe = {pipeline}.from_pretrained(model_id, torch_dtype=torch.float16)",
        'pipe = pipe.to("cuda")',
        "",
        f'prompt = "{prompt}"',
        *(f"{name} = {value!r}" for name, value in arguments.items()),
        "image = pipe(",
        "    prompt,",
        *(f"    {name}={name}," for name in arguments),
        "    generator=torch.manual_seed(0),",
        ").images[0]",
    )


def snippet_with_settings(
    repo_id: str, prompt: str, *, pipeline: str = "DiffusionPipeline", **arguments: object
) -> str:
    """A snippet with its settings in a dictionary: `pipe(**settings)`."""
    return _python(
        f"from diffusers import {pipeline}",
        "",
        f'pipe = {pipeline}.from_pretrained("{repo_id}")',
        "settings = {",
        f'    "prompt": "{prompt}",',
        *(f'    "{name}": {value!r},' for name, value in arguments.items()),
        "}",
        "image = pipe(**settings).images[0]",
    )


def table(header: tuple[str, ...], *rows: tuple[object, ...]) -> str:
    """A Markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _python(*lines: str) -> str:
    return "\n".join(["```python", *lines, "```"])
