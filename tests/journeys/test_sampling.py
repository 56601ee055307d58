"""Images as the user wants them."""

import json

from localhub.process import HubProcess
from tests.journeys.test_choosing import DDPM, DIT, IF
from tests.journeys.user import User
from tests.scale import weekly
from workspace.layout import generator_folder

FEW = "--images 2"


def test_i_want_two_images_of_one_generator_to_look_at(beginner: User) -> None:
    beginner.types(f"cf-sample {FEW} --only {DIT}")
    assert len(beginner.images) == 2
    assert all(path.startswith(f"images/{generator_folder(DIT)}/") for path in beginner.images)


def test_i_want_another_scheduler_than_the_authors(beginner: User) -> None:
    beginner.types(f"cf-sample {FEW} --scheduler DDIMScheduler --only {DDPM}")
    assert {row.scheduler for row in beginner.samples(DDPM)} == {"DDIMScheduler"}


def test_i_want_settings_of_my_own_for_one_generator(beginner: User) -> None:
    (beginner.folder / "settings.toml").write_text(f'["{DIT}"]\nsteps = 3\nguidance_scale = 2.5\n')
    beginner.types(f"cf-sample {FEW} --settings settings.toml --only {DIT} --only {DDPM}")
    assert {(row.num_inference_steps, row.guidance_scale) for row in beginner.samples(DIT)} == {(3, 2.5)}
    assert {row.num_inference_steps for row in beginner.samples(DDPM)} == {30}


def test_i_want_several_images_of_each_prompt(beginner: User) -> None:
    beginner.types(f"cf-sample --images 4 --seeds-per-prompt 2 --only {IF}")
    rows = beginner.samples(IF)
    assert [rows[0].prompt, rows[2].prompt] == [rows[1].prompt, rows[3].prompt]
    assert len({row.seed for row in rows}) == 4


@weekly("samplers/running/test_resume.py::test_a_run_killed_anywhere_is_continued_by_other_shards")
def test_i_want_two_machines_to_share_the_work(beginner: User, sampled_once: dict[str, bytes]) -> None:
    beginner.types("cf-sample --images 2 --shard 1/2 --no-help")
    assert 0 < len(beginner.images) < len(sampled_once)
    beginner.types("cf-sample --images 2 --shard 2/2")
    assert beginner.images == sampled_once


def test_i_want_few_files_instead_of_one_for_each_image(beginner: User) -> None:
    beginner.types(f"cf-sample {FEW} --store parquet --only {DIT}")
    assert beginner.images == {}
    assert all(row.image.bytes for row in beginner.samples(DIT))


def test_i_want_an_image_that_was_lost_back(owner: User) -> None:
    before = owner.images
    (owner.workspace.root / next(iter(before))).unlink()
    owner.types("cf-sample --images 2")
    assert owner.images == before


def test_i_want_an_image_that_a_disk_has_changed_back(owner: User) -> None:
    before = owner.images
    path = owner.workspace.root / next(iter(before))
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    owner.types("cf-sample --images 2 --verify full")
    assert owner.images == before


def test_i_want_to_know_how_far_it_is(owner: User) -> None:
    assert "3 generators: 3 done" in owner.types("cf-status")


def test_i_want_to_read_the_progress_with_a_program(owner: User) -> None:
    status = json.loads(owner.types("cf-status --json"))
    assert status["done"] == 3
    assert status["images"] == 6


@weekly("manifests/test_reserved_prompts.py::test_a_holdout_takes_no_image_out_of_training_where_prompts_were_reserved")
def test_i_want_to_keep_captions_for_testing_only(beginner: User) -> None:
    beginner.types(f"cf-sample {FEW} --exclude {DDPM} --evaluation-prompts 0.4 --holdout name={IF}")
    beginner.types("cf-build-manifest")
    rows = beginner.manifest
    trained, tested = (
        {row["real_sha256"] for row in rows if row["model_name"] and row["split"] == split}
        for split in ("train", "test")
    )
    assert {row["split"] for row in rows if row["model_name"] == IF} == {"test"}
    assert not (trained & tested) - {None}


def test_i_want_to_know_why_a_generator_failed_and_to_try_it_again(beginner: User, hub: HubProcess) -> None:
    hub.fail("status", path=f"/{DIT}/resolve/.*safetensors", status=404)
    try:
        beginner.types(f"cf-sample {FEW} --only {DIT}", code=3)
    finally:
        hub.clear_faults()
    said = beginner.types("cf-status")
    assert DIT in said
    assert "fetch-failed" in said
    beginner.types(f"cf-sample {FEW} --only {DIT} --retry-failed")
    assert len(beginner.images) == 2
