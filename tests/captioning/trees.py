"""Small copies of the twelve known data sets, each with the layout of its download, with its other files."""

import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.captioning.oddities import encoded, picture

CC_BY_NC_SA = "http://creativecommons.org/licenses/by-nc-sa/2.0/"


@dataclass
class Expected:
    """What must be read from a tree: of each image its captions, its licence and whether it is redistributable."""

    images: dict[str, tuple[str, ...]] = field(default_factory=dict)
    licenses: dict[str, tuple[str | None, bool | None]] = field(default_factory=dict)

    def all(self, names: list[str], license: str | None, redistributable: bool | None) -> "Expected":
        self.images |= dict.fromkeys(names, ())
        self.licenses |= dict.fromkeys(names, (license, redistributable))
        return self


def _put(root: Path, names: list[str]) -> list[str]:
    """Images of the format their names say, each of its own size."""
    formats = {"png": "PNG", "tif": "TIFF", "nef": "TIFF"}
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(16 + number, 16), formats.get(path.suffix[1:].lower(), "JPEG")))
    return names


def _text(root: Path, name: str, text: str = "x\n") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


def write_all(root: Path) -> dict[str, Expected]:
    """All twelve below `root`, by the name of the source."""
    made = {name: write(root / name) for name, write in WRITERS.items()}
    for name in made:  # what macOS and file managers leave everywhere
        _put(root / name, ["__MACOSX/images/nat/._x.jpg", "__MACOSX/train/cat/1.jpg", "@eaDir/0000001.png"])
        _text(root / name, ".DS_Store")
    return made


def coco(root: Path) -> Expected:
    names = _put(root, [f"val2017/000000000{number}.jpg" for number in (139, 285, 632)])
    _put(root, ["val2017/000000000999.jpg"])  # which the annotations do not know
    content: dict[str, Any] = {
        "licenses": [
            {"id": 1, "name": "Attribution-NonCommercial-ShareAlike License", "url": CC_BY_NC_SA},
            {"id": 7, "name": "No known copyright restrictions", "url": "http://flickr.com/commons/usage/"},
        ],
        "images": [
            {"id": number, "file_name": Path(name).name, "license": 7 if number == 2 else 1}
            for number, name in enumerate(names)
        ],
        "annotations": [
            {"id": 10 * number + n, "image_id": number, "caption": f"Caption {n} of picture {number}."}
            for number in range(3)
            for n in range(5)
        ],
    }
    _text(root, "annotations/captions_val2017.json", json.dumps(content))
    _text(root, "annotations/instances_val2017.json", "{}")
    expected = (
        Expected().all(names[:2], "cc-by-nc-sa-2.0", True).all(names[2:], "No known copyright restrictions", None)
    )
    expected.images = {
        name: tuple(f"Caption {n} of picture {number}." for n in range(5)) for number, name in enumerate(names)
    }
    return expected


def imagenet(root: Path) -> Expected:
    base = "ILSVRC/Data/CLS-LOC"
    names = _put(
        root,
        [
            f"{base}/train/n01440764/n01440764_10026.JPEG",
            f"{base}/train/n02119789/n02119789_122.JPEG",
            f"{base}/val/ILSVRC2012_val_00000001.JPEG",
            f"{base}/test/ILSVRC2012_test_00000001.JPEG",
        ],
    )
    _text(root, "ILSVRC/Annotations/CLS-LOC/train/n01440764/n01440764_10026.xml")
    _text(root, "ILSVRC/ImageSets/CLS-LOC/val.txt")
    _text(root, "LOC_synset_mapping.txt", "n01440764 tench, Tinca tinca\n")
    return Expected().all(names, "imagenet-terms-of-access", False)


def laion(root: Path) -> Expected:
    expected = Expected()
    root.mkdir(parents=True)
    for shard in range(2):
        with tarfile.open(root / f"{shard:05d}.tar", "w") as tar:
            for number in range(3):
                key = f"{shard:05d}{number:04d}"
                caption = f"alt text of picture {key}"
                for suffix, content in (
                    (".jpg", encoded(picture(20 + number, 20), "JPEG")),
                    (".txt", caption.encode()),
                    (".json", json.dumps({"caption": "not this one", "key": key, "url": "https://a.example"}).encode()),
                ):
                    member = tarfile.TarInfo(key + suffix)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
                expected.images[f"{shard:05d}.tar#{key}.jpg"] = (caption,)
        _text(root, f"{shard:05d}_stats.json", "{}")
        (root / f"{shard:05d}.parquet").write_bytes(b"not read")
    expected.licenses = dict.fromkeys(expected.images, (None, None))
    return expected


def ffhq(root: Path) -> Expected:
    names = _put(root, [f"images1024x1024/00000/{number:05d}.png" for number in range(3)])
    _put(root, ["thumbnails128x128/00000/00000.png", "in-the-wild-images/00000/00000.png"])
    _text(root, "LICENSE.txt")
    links = ("licenses/by/2.0/", "publicdomain/zero/1.0/")
    metadata = {
        str(number): {
            "category": "training",
            "metadata": {"license": "A License", "license_url": f"https://creativecommons.org/{link}"},
            "image": {"file_path": names[number], "face_landmarks": [[131.62, 453.8]] * 68},
        }
        for number, link in enumerate(links)
    }
    government = {"license": "United States Government Work", "license_url": "http://www.usa.gov/copyright.shtml"}
    _text(root, "ffhq-dataset-v2.json", json.dumps(metadata | {"2": {"metadata": government}}))
    expected = Expected().all(names, "United States Government Work", True)
    expected.licenses |= {names[0]: ("cc-by-2.0", True), names[1]: ("cc0-1.0", True)}
    return expected


def celeba(root: Path) -> Expected:
    names = _put(root, ["Img/img_align_celeba/000001.jpg", "Img/img_align_celeba/000002.jpg"])
    _put(root, ["Img/img_celeba/000001.jpg", "CelebAMask-HQ/CelebAMask-HQ-mask-anno/0/00000_hair.png"])
    _text(root, "Anno/list_attr_celeba.txt", "202599\n5_o_Clock_Shadow Arched_Eyebrows\n000001.jpg -1 1\n")
    _text(root, "Eval/list_eval_partition.txt", "000001.jpg 0\n")
    return Expected().all(names, "celeba-agreement", False)


def metfaces(root: Path) -> Expected:
    names = _put(root, ["images/11713-00.png", "images/11713-01.png", "images/10003-00.png"])
    _put(root, ["unprocessed/image-11713.png"])
    _text(root, "metfaces.json", '[{"obj_id": "11713", "image_path": "images/11713-00.png", "title": "Portrait"}]')
    return Expected().all(names, "cc-by-nc-2.0", True)


def afhq(root: Path) -> Expected:
    names = _put(
        root,
        [
            *("train/cat/flickr_cat_000002.jpg", "train/dog/pixabay_dog_1.jpg", "train/wild/flickr_wild_9.jpg"),
            *("val/cat/pixabay_cat_7.jpg", "test/dog/flickr_dog_000043.png"),
        ],
    )
    _put(root, ["assets/teaser.jpg"])
    return Expected().all(names, "cc-by-nc-4.0", True)


def forchheim(root: Path) -> Expected:
    devices = ("D01_Motorola_E3_1", "D02_LG_Optimus_L50")
    names = _put(root, [f"{device}/orig/{device[:3]}_img_orig_0001.jpg" for device in devices])
    networks = ("facebook", "instagram", "telegram", "twitter", "whatsapp")
    _put(root, [f"{device}/{name}/{device[:3]}_img_{name}_0001.jpg" for device in devices for name in networks])
    return Expected().all(names, None, None)


def imd2020(root: Path) -> Expected:
    names = _put(root, ["1a1ogs/1a1ogs_orig.jpg", "1a3oag/1a3oag_orig.jpg"])
    _put(root, ["1a1ogs/c8tf5mq_0.png", "1a1ogs/c8tf5mq_0_mask.png", "1a3oag/c8tt7fg_0.jpg"])
    _put(root, ["1a3oag/c8tt7fg_0_mask.png"])
    return Expected().all(names, None, None)


def lhq(root: Path) -> Expected:
    names = _put(root, ["lhq_1024_jpg/0000000.jpg", "lhq_1024_jpg/0000001.jpg"])
    _put(root, ["lhq_256/0000000.png", "lhq_256/0000001.png"])
    _text(root, "metadata.json", "{}")
    return Expected().all(names, None, None)


def vision(root: Path) -> Expected:
    device = "D01_Samsung_GalaxyS3Mini"
    names = _put(root, [f"{device}/images/nat/D01_I_nat_{number:04d}.jpg" for number in (1, 2)])
    others = ("flat", "natFBH", "natFBL", "natWA")
    _put(root, [f"{device}/images/{kind}/D01_I_{kind}_0001.jpg" for kind in others])
    _text(root, f"{device}/videos/flat/D01_V_flat_still_0001.mp4")
    return Expected().all(names, None, None)


def raise_(root: Path) -> Expected:
    names = _put(root, ["TIFF/r000da54ft.TIF", "TIFF/r001d260dt.TIF"])
    _put(root, ["NEF/r000da54ft.NEF", "NEF/r001d260dt.NEF"])
    _text(root, "RAISE_1k.csv", "File,NEF,TIFF,Device\nr000da54ft,http://a,http://b,Nikon D90\n")
    return Expected().all(names, None, None)


WRITERS = {
    "coco": coco,
    "imagenet": imagenet,
    "laion": laion,
    "ffhq": ffhq,
    "celeba": celeba,
    "metfaces": metfaces,
    "afhq": afhq,
    "forchheim": forchheim,
    "imd2020": imd2020,
    "lhq": lhq,
    "vision": vision,
    "raise": raise_,
}
