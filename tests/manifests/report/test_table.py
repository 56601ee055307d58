from pathlib import Path

from manifests.report import PAGE_ROWS, table
from tests.browser import look
from tests.manifests.making import Builder
from tests.manifests.report.pages import generated, image_of, written


def test_the_table_is_searched_sorted_and_paged(builder: Builder, tmp_path: Path) -> None:
    generators = [
        generated(number, kept=1 if number % 2 else 0, tried=number % 7, license="mit" if number % 3 else None)
        for number in range(2 * PAGE_ROWS + 7)
    ]
    page = written(builder.workspace, generators, [image_of(row) for row in generators if row.kept])
    seen = look(
        page,
        tmp_path,
        """
        const state = () => [find("#generators-shown").textContent, all("#generators tbody tr").length,
            ...[0, 1].map(row => all("#generators tbody tr")[row]?.children[1].textContent)];
        const states = [state()];
        const click = selector => { find(selector).click(); states.push(state()); };
        click("#next"); click("#next");
        const last = find("#next").disabled;
        click("#previous");
        type("#search-generators", "MIT generator-0000"); states.push(state());
        type("#search-generators", "no such thing"); states.push(state());
        type("#search-generators", "");
        const head = number => `#generators th:nth-child(${number}) button`;
        click(head(1)); click(head(1)); click(head(7)); click(head(7)); click(head(4));
        return {states, last, sorted: all("[aria-sort]").map(head => head.textContent + " " + head.ariaSort)}""",
    )
    assert seen["errors"] == []

    def names(*numbers: int) -> list[str]:
        return [generated(number).model_name for number in numbers]

    assert seen["acted"]["states"] == [
        ["1–50 of 107", 50, *names(0, 1)],
        ["51–100 of 107", 50, *names(50, 51)],
        ["101–107 of 107", 7, *names(100, 101)],
        ["51–100 of 107", 50, *names(50, 51)],
        ["1–6 of 6", 6, *names(1, 2)],
        ["none", 0, None, None],
        ["1–50 of 107", 50, *names(0, 1)],
        ["1–50 of 107", 50, *names(106, 105)],
        ["1–50 of 107", 50, *names(0, 7)],
        ["1–50 of 107", 50, *names(6, 13)],
        ["1–50 of 107", 50, *names(1, 2)],  # without a licence: last
    ]
    assert seen["acted"]["last"] is True
    assert seen["acted"]["sorted"] == ["licence ascending"]


def test_a_generator_that_was_sampled_without_a_wall_of_the_sandbox_is_marked() -> None:
    assert table._outcome(generated(0, missing_walls="landlock")).startswith("without landlock of the sandbox; ")


def test_without_the_script_the_first_rows_are_there(builder: Builder, tmp_path: Path) -> None:
    generators = [generated(number) for number in range(PAGE_ROWS + 1)]
    page = written(builder.workspace, generators, [image_of(row) for row in generators])
    rows = """return [visible("#generators tbody tr").length, visible("input").length,
        find("#generators td:nth-child(2)").textContent]"""
    assert look(page, tmp_path, rows, script=False)["acted"] == [PAGE_ROWS, 0, generators[0].model_name]
