"""Which generators: before anything large is downloaded."""

from tests.journeys.user import User
from tests.small_hub import GENERATORS

IF, DDPM, DIT = GENERATORS


def test_i_want_to_know_where_each_value_of_a_generator_comes_from(beginner: User) -> None:
    said = beginner.types(f"cf-crawl --explain {DIT}")
    assert DIT in said
    assert "apache-2.0" in said
    assert "card" in said


def test_i_want_the_generators_of_one_author_that_match_a_pattern(newcomer: User) -> None:
    newcomer.types("cf-crawl --only 'inkwell/d*'")
    assert {*newcomer.catalog} == {DDPM, DIT}


def test_i_want_exactly_the_generators_of_my_list(newcomer: User) -> None:
    (newcomer.folder / "names.txt").write_text(f"{IF}\n{DIT}\n")
    newcomer.types("cf-crawl --only @names.txt")
    assert {*newcomer.catalog} == {IF, DIT}


def test_i_want_no_generator_under_a_licence_that_i_cannot_use(beginner: User) -> None:
    said = beginner.types("cf-sample --images 2 --license-deny mit --dry-run")
    assert IF in said
    assert DDPM not in said.partition("license")[0]
    assert "licen" in said


def test_i_want_only_generators_that_fit_my_connection(beginner: User) -> None:
    sizes = {name: entry.download_bytes for name, entry in beginner.catalog.items() if name in GENERATORS}
    smallest = min(sizes.values())
    beginner.types(f"cf-sample --images 2 --max-size {smallest / 1e6 + 0.001:.3f}MB")
    assert {path.split("/")[1].replace("--", "/") for path in beginner.images} == {
        name for name, size in sizes.items() if size < smallest + 2000
    }


def test_i_want_to_see_what_a_run_would_do_and_change_nothing(beginner: User) -> None:
    before = {path for path in beginner.folder.rglob("*") if path.is_file()}
    said = beginner.types("cf-sample --images 100 --dry-run")
    assert all(name in said for name in GENERATORS)
    assert {path for path in beginner.folder.rglob("*") if path.is_file()} == before
