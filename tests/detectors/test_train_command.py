"""cf-detect train, evaluate and predict, as a user calls them, on a folder tree."""

import re

import pytest
from typer.testing import CliRunner

from detectors.commands import evaluate, predict, train
from tests.detectors.training.worlds import pixels, png
from workspace import command_line
from workspace.errors import CommunityForensicsError, UsageError

FAST = ("--device", "cpu", "--workers", "1", "--set", "batch=8", "--set", "micro_batch=4", "--set", "validate_every=2")


@pytest.fixture(scope="module")
def app():
    made = command_line.command_group("test")
    train.register(made)
    evaluate.register(made)
    predict.register(made)
    return made


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Images in the layout of Wang et al.: {generator}/{0_real,1_fake}."""
    folder = tmp_path_factory.mktemp("data") / "tree"
    for generator in range(4):
        for number in range(6):
            for label, which in (("0_real", None), ("1_fake", generator)):
                path = folder / f"gen{generator}" / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(png(pixels(which, 100 * generator + number)))
    return folder


@pytest.fixture(scope="module")
def call(app, data, tmp_path_factory):
    workspace = tmp_path_factory.mktemp("workspace")

    def called(command, *arguments):
        where = ("--workspace", str(workspace))
        result = CliRunner().invoke(app, [command, *map(str, arguments), *where])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    called.workspace = workspace
    return called


@pytest.fixture(scope="module")
def trained(call, data):
    return call("train", "tiny", "--data", data, "--protocol", "generator:2", "--steps", "2", *FAST)


def test_a_dry_run_says_runs_images_and_time_and_writes_nothing(call, data):
    said = call("train", "tiny", "--data", data, "--protocol", "generator:2", "--steps", "50", *FAST, "--dry-run")
    assert re.search(
        r"tiny: 2 runs of 50 steps of 8 images, 800 images in all: about \d+ (s|min) at [\d,.e+]+ images",
        said,
    )
    assert not list(call.workspace.glob("detect/tiny*"))


def test_a_dry_run_of_a_published_network_downloads_nothing(call, data):
    said = call(
        "train",
        "cf-vit-s-224",
        "--data",
        data,
        "--protocol",
        "generator:2",
        "--device",
        "cpu",
        "--set",
        "size=toy",
        "--dry-run",
    )
    assert "2 runs of 52,000 steps of 512 images" in said
    assert re.search(r"about [\d,.]+ h at", said)


def test_a_dry_run_of_a_probe_says_how_many_features(call, data):
    words = ("--data", data, "--protocol", "generator:2", "--dry-run")
    said = call("train", "probe:facebook/dinov2-small", *words)
    assert re.search(r"probe:facebook/dinov2-small: 2 runs, of 48 images features, each computed once; how long", said)
    said = call("train", "probe:spectrum", *words)
    assert re.search(r"probe:spectrum: 2 runs, of 48 images features, each computed once: about \d+ s at", said)


def test_data_from_elsewhere_needs_no_workspace(app, data, tmp_path):
    words = ["train", "shortcut", "--protocol", "generator:2", "--workspace", str(tmp_path / "new")]
    refused = CliRunner().invoke(app, words)
    assert "new does not exist: name the folder of a workspace" in str(refused.exception)
    made = CliRunner().invoke(app, [*words, "--data", str(data)])
    assert made.exit_code == 0, made.output
    assert len(list((tmp_path / "new" / "detect").glob("shortcut-*"))) == 2


def test_each_fold_is_a_run(trained, call):
    assert len(re.findall(r"^tiny-[0-9a-f]{12}: trained", trained, re.M)) == 2
    assert len(list(call.workspace.glob("detect/tiny-*/model.json"))) == 2


def test_shards_share_the_folds_and_the_same_command_finds_them(trained, call, data):
    names = set(re.findall(r"^(tiny-[0-9a-f]{12}): trained", trained, re.M))
    found = []
    for shard in ("1/2", "2/2"):
        said = call(
            "train", "tiny", "--data", data, "--protocol", "generator:2", "--steps", "2", "--shard", shard, *FAST
        )
        found += re.findall(r"^(tiny-[0-9a-f]{12}): trained", said, re.M)
    assert sorted(found) == sorted(names)


def test_a_dry_run_of_an_evaluation_says_how_long_what_is_missing_takes_and_writes_nothing(trained, call, data):
    name = re.search(r"^(tiny-[0-9a-f]{12}): trained", trained, re.M)[1]
    words = ("evaluate", name, "--data", data, "--device", "cpu")
    said = call(*words, "--transform", "jpeg=75", "--dry-run")
    count = int(re.search(r"(\d+) scores to compute: about \d+ s at [\d,.e+]+ images a second", said)[1])
    assert not list(call.workspace.glob("detect/*/scores"))
    assert "all folds, test, tree: AP " in call("evaluate", "tiny", *words[2:])
    said = call(*words, "--transform", "jpeg=75", "--dry-run")
    assert 0 < int(re.search(r"(\d+) scores to compute: about", said)[1]) < count
    assert "0 scores to compute: no image is read for them" in call(*words, "--dry-run")


def test_predict_says_a_probability_and_a_verdict_for_each_file(trained, call, data):
    name = re.search(r"^(tiny-[0-9a-f]{12}): trained", trained, re.M)[1]
    files = [data / "gen0" / "1_fake" / "0.png", data / "gen0" / "0_real" / "1.png"]
    lines = call("predict", name, *files).splitlines()
    assert len(lines) == 2
    for line, file in zip(lines, files, strict=True):
        assert re.fullmatch(rf"[01]\.\d{{3}}  (generated|real     )  {re.escape(str(file))}", line)


def test_predict_names_a_file_that_is_no_image(trained, call, data, tmp_path, capsys):
    (tmp_path / "text.jpg").write_text("text")
    name = re.search(r"^(tiny-[0-9a-f]{12}): trained", trained, re.M)[1]
    with pytest.raises(CommunityForensicsError, match="not readable as images: 1 of 2 files"):
        call("predict", name, tmp_path / "text.jpg", data / "gen0" / "0_real" / "1.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "no-such-run", "x.png"), "there is no run no-such-run"),
        (("train", "resnet"), "there is no detector resnet: name one of cf-vit-s-224"),
        (("train", "tiny", "--set", "lr"), "--set lr: must be KEY=VALUE"),
        (("train", "tiny", "--shard", "3/2"), "--shard '3/2'"),
        (("train", "tiny", "--save-minutes", "0"), "--save-minutes must be above 0"),
    ],
)
def test_wrong_use_is_one_line(call, arguments, message):
    with pytest.raises(UsageError, match=message):
        call(*arguments)


def test_a_missing_file_is_one_line(trained, call, tmp_path):
    name = re.search(r"^(tiny-[0-9a-f]{12}): trained", trained, re.M)[1]
    with pytest.raises(UsageError, match="there is no such file"):
        call("predict", name, tmp_path / "none.png")
