"""`cf-build-manifest` as a person runs it: what it prints and how it ends."""

import subprocess

from manifests.manifest import manifest_path
from tests.manifests import commands
from tests.manifests.making import BUILD, Builder


def built(builder: Builder, *options: str) -> commands.Done:
    return commands.build(builder.write().root, *options)


def test_in_a_process_of_its_own(filled: Builder) -> None:
    command = [*BUILD, "--workspace", str(filled.write().root), "--verify", "full"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "22 generated images of 3 generators, 9 real images" in done.stdout
    assert (filled.workspace.report / "index.html").exists()
    # Without a holdout no splits are printed.
    assert "generators: " not in done.stdout
    assert "in neither" not in done.stdout


def test_without_a_catalogue_the_line_names_the_command_to_run(filled: Builder) -> None:
    filled.write().catalog.unlink()
    failed = commands.build(filled.workspace.root)
    assert failed.returncode == 2
    assert failed.stderr.count("\n") == 1
    assert "cf-crawl" in failed.stderr


def test_the_numbers_of_each_split_are_printed_for_generators_and_images(filled: Builder) -> None:
    """Sketcher and painter have one base, and all captions: with one of them held out, the other cannot train."""
    stranger = filled.generator("org/stranger", base_model=None, lineage=())
    for prompt in filled.prompts["photos"][4:]:  # two of which the held out generator had
        filled.sample(stranger, prompt)
    done = built(filled, "--holdout", "name=org/sketcher")
    assert done.returncode == 0, done.stderr
    assert "24 generated images of 4 generators, 9 real images" in done.stdout
    assert "generators: 2 train, 1 test, 1 in neither" in done.stdout
    assert "images: 4 train, 18 test, 11 in neither" in done.stdout
    assert "train has no real image beside its 4 generated images" in done.stdout


def test_damage_is_reported_without_a_traceback(filled: Builder) -> None:
    filled.change("org/painter", 0, nsfw_flag=True)
    done = built(filled)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: no manifest was written: 1 check failed",
        "  - 1 sample was kept although flagged, or not checked: org/painter #0 (remove the folders of that generator "
        "in samples/ and images/, then run `cf-sample` again: it makes the same images)",
    ]
    assert not manifest_path(filled.workspace).exists()


def test_misuse_is_reported_in_one_line(filled: Builder) -> None:
    done = built(filled, "--license-allow", "mit")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "add --edition public" in done.stderr
