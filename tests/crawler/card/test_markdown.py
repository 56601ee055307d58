import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.card.document import Code, Document, Table, Text
from crawler.card.markdown import MAX_BODY, MAX_LINE, MAX_LINES, parse_markdown


def paths(document: Document) -> list[tuple[str, ...]]:
    """The headings above each section."""
    return [tuple(heading.line.text for heading in section.headings) for section in document.sections]


def texts(document: Document) -> list[str]:
    return [line.text for lines in document.paragraphs() for line in lines]


def code(body: str) -> list[tuple[str, str]]:
    return [(block.language, block.source) for block in parse_markdown(body).code()]


def tables(body: str) -> list[list[list[str]]]:
    blocks = [block for section in parse_markdown(body).sections for block in section.blocks]
    return [[[cell.text for cell in row] for row in block.rows] for block in blocks if isinstance(block, Table)]


@pytest.mark.parametrize(
    "body",
    [
        "# Model\n## Training\ntext\n# Usage\n",
        "Model\n=====\nTraining\n--------\ntext\n\nUsage\n===\n",
        "<h1>Model</h1>\n<h2 align='center'>Training</h2>\ntext\n<h1>Usage</h1>\n",
        "> # Model\n> ## Training\n> text\n\n# Usage #\n",
    ],
)
def test_a_section_knows_the_headings_above_it(body: str) -> None:
    assert paths(parse_markdown(body)) == [("Model",), ("Model", "Training"), ("Usage",)]


@pytest.mark.parametrize(
    "body", ["Steps: 30\nCFG: 7\n---\n", "We trained it for a long time.\n---\n", "x " * 50 + "\n---\n"]
)
def test_a_rule_below_a_paragraph_makes_no_heading(body: str) -> None:
    assert paths(parse_markdown(body)) == [()]


@pytest.mark.parametrize(
    "body",
    [
        "| Steps | CFG |\n|---|:-:|\n| 30 | `7` |\n",
        "Steps | CFG\n--- | ---\n30 | `7`\n",
        "a paragraph above\nSteps | CFG\n:-- | --:\n30 | `7`\n",
        "> Steps | CFG\n> --|--\n> **30** | `7`\n",
        "|Steps|CFG|\n|30|`7`|\n",
        "| Steps | CFG |\n|---|\n| 30 | `7` |\n",
    ],
)
def test_tables_are_rows_of_cells_with_and_without_outer_bars(body: str) -> None:
    assert tables(body) == [[["Steps", "CFG"], ["30", "`7`"]]]


@pytest.mark.parametrize("text", ["Steps: 30 | CFG: 7", "a | b\nc | d", "---"])
def test_bars_alone_are_not_a_table(text: str) -> None:
    assert tables(text) == []


@pytest.mark.parametrize(
    ("info", "language"),
    [
        ("", ""),
        ("python", "python"),
        ("Python", "python"),
        ("py3", "py3"),
        ("python title=x", "python"),
        ("{.python}", "python"),
        ("{ .py .numberLines }", "py"),
        ("pycon", "pycon"),
        ("python:run.py", "python"),
        ("c++", "c++"),
    ],
)
@pytest.mark.parametrize("fence", ["```", "~~~~"])
def test_a_fence_names_its_language(info: str, language: str, fence: str) -> None:
    assert code(f"{fence}{info}\nx = 1\n{fence}\n") == [(language, "x = 1\n")]


@pytest.mark.parametrize(
    "body",
    [
        "> ```py\n> if x:\n>     y\n> ```\n",
        "- item\n\n  ```py\n  if x:\n      y\n  ```\n",
        "1. item\n   ```py\n   if x:\n       y\n   ```\n",
        "- > ~~~py\n  > if x:\n  >     y\n  > ~~~\n",
        "text\n```py\nif x:\n    y\n",
        "    ```py\n    if x:\n        y\n    ```\n",
        "<details>\n```py\nif x:\n    y\n```\n</details>\n",
    ],
)
def test_fenced_code_is_found_wherever_it_is(body: str) -> None:
    assert code(body) == [("py", "if x:\n    y\n")]


@pytest.mark.parametrize(
    "body",
    [
        "text\n\n    if x:\n        y\n",
        "- item\n\n      if x:\n          y\n",
        ">     if x:\n>         y\n",
        "text\n\n\tif x:\n\t    y\n",
    ],
)
def test_indented_code_has_no_language(body: str) -> None:
    assert code(body) == [("", "if x:\n    y\n")]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("a\nb  \nc\\\nd", ["a", "b", "c", "d"]),
        ("* **Steps:** 30\n* _CFG_: `7`\n", ["Steps: 30", "CFG: `7`"]),
        ("<ul><li><b>Steps:</b> 30</li><li>CFG: <code>7</code></li></ul>", ["Steps: 30", "CFG: `7`"]),
        ("a<br/>b<p align='left'>c</p>", ["a", "b", "c"]),
        ("use <cat-toy> or <s0><s1> &lt;x&gt;", ["use <cat-toy> or <s0><s1> <x>"]),
        ("see [the page](https://x.y) ![alt](z.png)<img src='a'\n alt='b'>.", ["see the page ."]),
        ("a\n<!-- b\n\nc -->\nd", ["a", "d"]),
        ("<style>\nwidth: 5;\n\nb {}\n</style>\nd", ["d"]),
        ("a <!-- b --> c", ["a  c"]),
        ("num_inference_steps: 30, 512*768", ["num_inference_steps: 30, 512*768"]),
        ("```\n- **Steps**: 30\n```", ["Steps: 30"]),
        ("    <p class='x'>\n      <b id='y'>a</b><br class='z'>\n    </p>\n", ["a"]),
        ("```python\nSteps: 30\n```", []),
        ("```\nimport x\nSteps: 30\n```", []),
        ("a\r\nb\rc", ["a", "b", "c"]),
    ],
)
def test_lines_are_plain_text(body: str, lines: list[str]) -> None:
    assert texts(parse_markdown(body)) == lines


def test_a_line_knows_what_is_code_and_bold() -> None:
    (section,) = parse_markdown("- use **the `word`** *here*\n\n**All of it**:\n\n**Part** of it\n").sections
    item, bold, part = section.blocks
    assert isinstance(item, Text)
    assert isinstance(bold, Text)
    assert isinstance(part, Text)
    assert item.lines[0].text == "use the `word` here"
    assert item.lines[0].emphasized == "use **the `word`** **here**"
    assert [block.in_list for block in (item, bold, part)] == [True, False, False]
    assert [block.lines[0].is_bold for block in (item, bold, part)] == [False, True, False]


def test_text_beyond_the_limits_is_not_read() -> None:
    line = "c" * 100
    lines = texts(parse_markdown("a\n\n" + "x" * (MAX_LINE + 1) + "\n\nb\n\n" + f"{line}\n" * MAX_BODY))
    assert lines[:3] == ["a", "b", line]
    assert sum(map(len, lines)) < MAX_BODY
    # A line that the limit cuts in two would have another value.
    cut = "Steps: 30\n\n" + "\n" * (MAX_BODY - len("Steps: 30\n\nCFG: 7")) + "CFG: 75\n"
    assert texts(parse_markdown(cut)) == ["Steps: 30"]


def test_nested_containers_are_read_to_a_maximum_depth() -> None:
    assert texts(parse_markdown("> " * 5 + "a")) == ["a"]
    deeper = parse_markdown("> " * 50 + "a\n\n")
    assert (texts(deeper), deeper.cut) == ([], True)


@pytest.mark.parametrize(
    ("body", "cut"),
    [
        ("a\n" * (MAX_LINES - 1) + "b", False),
        ("a\n" * MAX_LINES + "b", True),
        ("a" * 99 + " ", False),
        ("a " * (MAX_LINE // 2 + 1), True),
        (("a" * 99 + "\n") * (MAX_BODY // 100 + 1), True),
        ("> " * 5 + "a", False),
        ("![a](data:image/png;base64," + "A" * MAX_LINE + "==) Steps: 30", False),
    ],
)
def test_a_document_says_whether_there_is_more_than_is_read(body: str, cut: bool) -> None:
    assert parse_markdown(body).cut is cut


def test_the_text_beside_an_image_as_base64_is_read() -> None:
    assert texts(parse_markdown("![a](data:image/png;base64," + "A" * MAX_LINE + "==) Steps: 30")) == ["Steps: 30"]


@settings(max_examples=200)
@given(st.text(max_size=300) | st.lists(st.sampled_from("# |-`~>*_[]()<!&\\\n:1.ab\t")).map("".join))
def test_no_text_raises(body: str) -> None:
    for section in parse_markdown(body).sections:
        assert section.headings or section.blocks
        for block in section.blocks:
            if isinstance(block, Code):
                assert block.language == block.language.lower()
            elif isinstance(block, Text):
                assert all(line.text for line in block.lines)


def test_lines_are_limited() -> None:
    document = parse_markdown("- a\n" * MAX_LINES + "\n\n- b\n")
    assert {line.text for lines in document.paragraphs() for line in lines} == {"a"}


def test_links_keep_where_they_lead() -> None:
    (lines,) = parse_markdown("a [b **c**](https://x.y/z) d").paragraphs()
    assert [(span.text, span.link) for line in lines for span in line.spans if span.text] == [
        ("a ", None),
        ("b ", "https://x.y/z"),
        ("c", "https://x.y/z"),
        (" d", None),
    ]
