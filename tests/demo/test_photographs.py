"""The real images of the demo: unchanged, with their licences and the captions of the dataset."""

import json
import subprocess
import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from demo import photographs
from demo.zoo.digits.data import WORDS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("real")
    photographs.write_digits(root / "digits")
    photographs.write_pieces(root / "pieces")
    photographs.write_photos(root / "photos")
    return root


def test_each_digit_is_the_scan_its_name_says(folder: Path) -> None:
    pixels, labels = load_digits(return_X_y=True)
    scans = sorted((folder / "digits").glob("*.png"))
    assert len(scans) == 200
    seen = []
    for scan in scans:
        _, number, word = scan.stem.split("-")
        assert WORDS[labels[int(number)]] == word
        with Image.open(scan) as image:
            assert image.mode == "L"
            assert (np.rint(np.asarray(image) / (255 / 16)) == pixels[int(number)].reshape(8, 8)).all()
        seen.append(word)
    assert {word: seen.count(word) for word in WORDS} == dict.fromkeys(WORDS, 20)


def test_each_digit_has_its_caption_beside_it_in_three_wordings(folder: Path) -> None:
    wordings = {word: set() for word in WORDS}
    for scan in (folder / "digits").glob("*.png"):
        word = scan.stem.split("-")[2]
        wordings[word].add(scan.with_suffix(".txt").read_text())
    for digit, word in enumerate(WORDS):
        assert wordings[word] == {
            f"a handwritten digit {word}\n",
            f"the handwritten number {word}\n",
            f"a scan of the digit {digit}\n",
        }


def test_photographs_are_the_packages_own_bytes(folder: Path) -> None:
    names = {path.name for path in (folder / "photos").iterdir()} - {"licenses.json"}
    assert len(names) == len(photographs.PHOTOGRAPHS) >= 10
    for photograph in photographs.PHOTOGRAPHS:
        shipped = files(photograph.package) / photograph.path
        assert (folder / "photos" / photograph.name).read_bytes() == shipped.read_bytes()


def test_scans_are_dithered_so_that_17_grey_levels_do_not_give_them_away(folder: Path) -> None:
    levels = set()
    for scan in (folder / "digits").glob("*.png"):
        with Image.open(scan) as image:
            levels |= set(np.asarray(image).ravel().tolist())
    assert len(levels) > 200


def test_pieces_are_as_the_zoo_makes_images_and_of_photographs_that_may_be_passed_on(folder: Path) -> None:
    pieces = sorted((folder / "pieces").glob("*.png"))
    assert len(pieces) == sum(photographs.PIECES.values())
    stated = json.loads((folder / "pieces" / "licenses.json").read_text(encoding="utf-8"))
    sides: Counter[int] = Counter()
    for piece in pieces:
        with Image.open(piece) as image:
            assert (image.mode, image.width, dict(image.info)) == ("RGB", image.height, {})
            sides[image.width] += 1
        assert stated[piece.name]["redistributable"] is True
        assert piece.with_suffix(".txt").read_text().startswith(("a photograph of", "a detail of", "a close view of"))
    assert sides == photographs.PIECES


@pytest.mark.parametrize("source", ["digits", "pieces", "photos"])
def test_every_image_has_a_licence_or_an_unknown_one(folder: Path, source: str) -> None:
    stated = json.loads((folder / source / "licenses.json").read_text(encoding="utf-8"))
    images = {path.name for path in (folder / source).iterdir() if path.suffix in (".png", ".jpg")}
    assert set(stated) == images or set(stated) == {"*"}
    for entry in stated.values():
        assert set(entry) == {"license", "license_link", "attribution", "redistributable"}
        assert (entry["license"] is None) == (entry["license_link"] is None) == (entry["redistributable"] is None)
        assert entry["license"] is None or entry["license_link"].startswith("https://")


def test_writing_again_replaces_missing_and_damaged_files_only(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*") if path.name != "licenses.json"}
    lost, cut = folder / "digits/digit-0000-zero.png", folder / "photos/china.jpg"
    contents = lost.read_bytes(), cut.read_bytes()
    lost.unlink()
    cut.write_bytes(contents[1][:1000])
    photographs.write_digits(folder / "digits")
    photographs.write_pieces(folder / "pieces")
    photographs.write_photos(folder / "photos")
    assert (lost.read_bytes(), cut.read_bytes()) == contents
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*.*") if path.name != "licenses.json"}
    assert {path for path in before | after if before.get(path) != after.get(path)} <= {lost, cut}


def test_no_deep_learning_library_is_imported_for_it() -> None:
    read = "from demo import photographs; [photograph.read() for photograph in photographs.PHOTOGRAPHS]"
    code = f"import sys; {read}; print(sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for name in ("torch", "transformers", "skimage", "sklearn"):
        assert f"'{name}'" not in modules
