"""The layouts of folder trees, as the code that reads them wants them.

`real-fake`               GENERATOR/{real,fake}/                    the study's --additional_*_data
`0_real-1_fake`           {train,val,test}/GENERATOR/{0_real,1_fake}/   CNNDetection, UniversalFakeDetect, SIDBench,
                                                                    AIGCDetectBenchmark
`genimage`                GENERATOR/{train,val}/{nature,ai}/        GenImage
`imagefolder`             {train,validation,test}/{real,fake}/      torchvision's ImageFolder, `datasets`' imagefolder
`imagefolder-generators`  {train,validation,test}/{real,GENERATOR}/ the same, with a class for each generator

None of these readers takes every format: what its code does not list is ignored without a word, and then the numbers of
real and generated images differ. So images of other formats are not exported.
"""

from dataclasses import dataclass

from manifests.manifest import REAL
from manifests.options import TreeName

#: The extension of each format. Readers know no .tif, and CNNDetection's take what follows the first dot.
EXTENSIONS = {
    "JPEG": "jpg",
    "MPO": "jpg",
    "PNG": "png",
    "BMP": "bmp",
    "GIF": "gif",
    "PPM": "ppm",
    "TIFF": "tiff",
    "WEBP": "webp",
}
#: What torchvision's ImageFolder reads (torchvision/datasets/folder.py, IMG_EXTENSIONS).
_IMAGE_FOLDER = frozenset({"JPEG", "MPO", "PNG", "BMP", "PPM", "TIFF", "WEBP"})


@dataclass(frozen=True)
class Tree:
    """One layout.

    `pattern` is the folder of an image, with {split}, {generator} and {label} in it; `splits` and `labels` (real,
    generated) are this layout's names for ours. `pooled`: real images are beside all generators together.
    """

    name: TreeName
    pattern: str
    labels: tuple[str, str]
    formats: frozenset[str]
    splits: tuple[tuple[str, str], ...] = (("train", "train"), ("validation", "validation"), ("test", "test"))
    pooled: bool = False

    def folder(self, split: str, generator: str, label: int) -> str:
        """The folder of an image; `generator`: the name of its generator's folder."""
        named = self.labels[0] if label == REAL else self.labels[1]
        return self.pattern.format(
            split=dict(self.splits)[split], generator=generator, label=named.format(generator=generator)
        )

    def in_one_split(self) -> "Tree":
        """The same tree for images of one split only, which some layouts have no folder for."""
        if self.name != "real-fake":
            return self
        return Tree(self.name, self.pattern.removeprefix("{split}/"), self.labels, self.formats)


def tree_of(name: TreeName) -> Tree:
    """The layout of that name."""
    return next(tree for tree in _trees() if tree.name == name)


def _trees() -> tuple[Tree, ...]:
    return (
        Tree(
            "real-fake",
            "{split}/{generator}/{label}",
            ("real", "fake"),
            # Community-Forensics, dataloader.py: dataset_folder_based.index_directory
            frozenset({"JPEG", "MPO", "PNG", "BMP", "TIFF", "WEBP", "GIF"}),
        ),
        Tree(
            "0_real-1_fake",
            "{split}/{generator}/{label}",
            ("0_real", "1_fake"),
            # UniversalFakeDetect, data/datasets.py: recursively_read
            frozenset({"JPEG", "MPO", "PNG"}),
            splits=(("train", "train"), ("validation", "val"), ("test", "test")),
        ),
        Tree(
            "genimage",
            "{generator}/{split}/{label}",
            ("nature", "ai"),
            _IMAGE_FOLDER,
            splits=(("train", "train"), ("validation", "validation"), ("test", "val")),
        ),
        Tree("imagefolder", "{split}/{label}", ("real", "fake"), _IMAGE_FOLDER, pooled=True),
        Tree("imagefolder-generators", "{split}/{label}", ("real", "{generator}"), _IMAGE_FOLDER, pooled=True),
    )
