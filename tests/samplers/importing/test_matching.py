"""Which real image an imported one belongs to: by its prompt or its name, and by neither where that is not certain."""

from pathlib import Path

from captioning.prompt import Prompt
from samplers.importing.matching import RealImages
from tests.records import prompt
from workspace import records
from workspace.layout import Workspace, part_name


def test_a_caption_of_one_image_ties_and_one_of_several_does_not(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    rows = [prompt("coco", number, text) for number, text in enumerate(["a cat", "a dog", "a dog", "a  house"])]
    # Two captions of one image, which are equal.
    rows.append(prompt("coco", 9, "a cat", prompt_id="coco/9", real_id="0"))
    records.write(workspace.prompts_of("coco") / part_name(0), Prompt, rows)
    records.write(
        workspace.prompts_of("raise") / part_name(0), Prompt, [prompt("raise", 5, "a boat", real_id="r5t.TIF")]
    )
    by_prompt = RealImages.read(workspace, "coco", "prompt")
    texts = ("a cat", "a dog", "a house", "a boat", None)
    assert [by_prompt.prompt_id("x.png", text) for text in texts] == ["coco/0", None, "coco/3", None, None]
    by_name = RealImages.read(workspace, "raise", "name")
    assert by_name.prompt_id("part.zip#dalle3/r5t.png", None) == "raise/5"
    assert by_name.prompt_id("other.png", "a boat") is None
    assert RealImages.read(workspace, "coco", "none").prompt_id("x.png", "a cat") is None
    assert RealImages.read(workspace, None, "prompt").prompt_id("x.png", "a cat") is None
