"""Taking something out again."""

from localhub.process import HubProcess
from localhub.store import Store
from tests.journeys.test_choosing import IF
from tests.journeys.user import User
from tests.scale import weekly
from tests.upkeep.contents import files_with, hashes


@weekly("upkeep/test_removing_generators.py::test_a_removed_generator_is_in_no_file_and_the_others_are_as_they_were")
def test_an_author_asks_me_to_take_their_generator_out(owner: User, hub: HubProcess) -> None:
    said = owner.types(f'cf-remove {IF} --reason "author\'s request"')
    assert f"{IF}: removed, with 2 images" in said
    owner.types("cf-build-manifest")
    owner.types("cf-publish me/without --purge-history")
    assert files_with(owner.workspace.root, IF, IF.replace("/", "--")) == []
    store = Store(hub.directory)
    repo = store.repo("dataset", "me/without")
    assert len(list(store.history(repo, store.commit_of(repo, "main")))) == 1


def test_i_want_the_crawl_and_the_sampling_of_tomorrow_to_leave_it_out(owner: User) -> None:
    others = {
        path: sha256 for path, sha256 in hashes(owner.workspace.images).items() if IF.replace("/", "--") not in path
    }
    owner.types(f"cf-remove {IF} --reason licence")
    assert "1 listed models were removed" in owner.types("cf-crawl --limit 50")
    owner.types("cf-sample --images 2")
    assert hashes(owner.workspace.images) == others
    assert IF not in owner.catalog


@weekly(
    "upkeep/test_removing_real_images.py::test_the_image_and_its_caption_are_in_no_file_and_what_was_generated_from_it_stays"
)
def test_somebody_in_a_photograph_wants_to_be_in_it_no_more(owner: User) -> None:
    photograph = owner.prompts[0]
    owner.types(f"cf-remove --real {photograph.real_sha256} --with-generated --reason privacy")
    owner.types("cf-build-manifest")
    assert files_with(owner.workspace.root, str(photograph.real_sha256), photograph.prompt_id) == []


def test_i_want_to_see_first_what_would_go(owner: User) -> None:
    before = hashes(owner.workspace.root)
    assert f"{IF}: would be removed" in owner.types(f"cf-remove {IF} --reason quality --dry-run")
    assert hashes(owner.workspace.root) == before
