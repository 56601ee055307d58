"""The data sets that are known by name; any other name is opened by what lies there, and nothing is known of it.

What a registered source says of its licence holds for every image that its copy on disk says nothing about. What its
makers do not say, or could not be read when this was written, is None: unknown, and never passed on.
"""

from pathlib import Path

from captioning.sources.coco import read_coco
from captioning.sources.containers import read_any
from captioning.sources.ffhq import with_licenses
from captioning.sources.folder import image_ids
from captioning.sources.layout import Layout
from captioning.sources.source import Source

KNOWN = {
    source.name: source
    for source in (
        Source(
            name="coco",
            reader=read_coco,
            title="COCO",
            # No licence for all: its images are other people's, each with a licence of its own in the annotations.
            license_link="https://cocodataset.org/#termsofuse",
            citation="T.-Y. Lin et al.: Microsoft COCO: Common Objects in Context. ECCV 2014. arXiv:1405.0312",
        ),
        Source(
            name="imagenet",
            # As on Kaggle (ILSVRC/Data/CLS-LOC/), as unpacked from ILSVRC2012_img_{train,val}.tar with val/ flat or by
            # class, or the class folders alone. Annotations are XML and lie elsewhere.
            reader=Layout(
                "train/n01440764/*.JPEG and val/*.JPEG (or val/n01440764/*.JPEG), perhaps below ILSVRC/Data/CLS-LOC/",
                [
                    r"(train|val|test)/(n\d{8}/)?[^/]+\.(JPEG|jpeg|jpg)",
                    r"n\d{8}/(images/)?n\d{8}_\d+\.(JPEG|jpeg|jpg)",
                ],
            ),
            title="ImageNet",
            # Its terms let it be passed to research associates who agree to them, so not to everybody.
            license="imagenet-terms-of-access",
            license_link="https://www.image-net.org/download.php",
            redistributable=False,
            citation="O. Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge. IJCV 2015. "
            "arXiv:1409.0575",
        ),
        Source(
            name="laion",
            # A list of links; the images are as img2dataset writes them: folders, tar archives or Parquet files.
            reader=read_any,
            title="LAION",
            # The list is CC BY 4.0; the images are other people's, and nothing is known of their licences.
            license_link="https://laion.ai/faq/",
            citation="C. Schuhmann et al.: LAION-5B: An open large-scale dataset for training next generation "
            "image-text models. NeurIPS 2022. arXiv:2210.08402",
        ),
        Source(
            name="ffhq",
            # Not the thumbnails, and not the photographs the faces were cut from when the faces are there.
            reader=Layout(
                "images1024x1024/00000/00000.png (or in-the-wild-images/), and ffhq-dataset-v2.json for the licences",
                [r"images1024x1024/(\d{5}/)?\d{5}\.png", r"in-the-wild-images/(\d{5}/)?\d{5}\.png"],
                with_licenses,
            ),
            title="FFHQ",
            # Each image has its own licence, in the metadata; all allow "free use, redistribution, and adaptation for
            # non-commercial purposes".
            license_link="https://github.com/NVlabs/ffhq-dataset#licenses",
            redistributable=True,
            citation="T. Karras, S. Laine, T. Aila: A Style-Based Generator Architecture for Generative Adversarial "
            "Networks. CVPR 2019. arXiv:1812.04948",
        ),
        Source(
            name="celeba",
            # The aligned faces, else the photographs, else CelebAMask-HQ's or StarGAN v2's copies of CelebA-HQ (whose
            # masks lie in CelebAMask-HQ-mask-anno/).
            reader=Layout(
                "img_align_celeba/000001.jpg (or img_celeba/, CelebA-HQ-img/, celeba_hq/train/female/)",
                [
                    r"img_align_celeba(_png)?/\d{6}\.(jpg|png)",
                    r"img_celeba/\d{6}\.jpg",
                    r"CelebA-HQ-img/\d+\.(jpg|png)",
                    r"celeba_hq/(train|val)/(female|male)/\d+\.(jpg|png)",
                ],
            ),
            title="CelebA",
            # "Available for non-commercial research purposes only"; "not to further copy, publish or distribute".
            license="celeba-agreement",
            license_link="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
            redistributable=False,
            citation="Z. Liu, P. Luo, X. Wang, X. Tang: Deep Learning Face Attributes in the Wild. ICCV 2015. "
            "arXiv:1411.7766",
        ),
        Source(
            name="metfaces",
            # Not unprocessed/, the works of art the faces were cut from.
            reader=Layout("images/11713-00.png, beside metfaces.json", [r"images/\d+-\d\d\.png"]),
            title="MetFaces",
            license="cc-by-nc-2.0",
            license_link="https://github.com/NVlabs/metfaces-dataset#licenses",
            redistributable=True,
            citation="T. Karras et al.: Training Generative Adversarial Networks with Limited Data. NeurIPS 2020. "
            "arXiv:2006.06676",
        ),
        Source(
            name="afhq",
            # Version 1 has train/ and val/, version 2 train/ and test/.
            reader=Layout(
                "train/cat/*.jpg, train/dog/, train/wild/, and the same below val/ or test/",
                [r"(train|val|test)/(cat|dog|wild)/[^/]+\.(jpg|png)"],
            ),
            title="AFHQ",
            license="cc-by-nc-4.0",
            license_link="https://github.com/clovaai/stargan-v2#license",
            redistributable=True,
            citation="Y. Choi, Y. Uh, J. Yoo, J.-W. Ha: StarGAN v2: Diverse Image Synthesis for Multiple Domains. "
            "CVPR 2020. arXiv:1912.01865",
        ),
        Source(
            name="forchheim",
            # The cameras' own files; the five copies that went through social networks were compressed again.
            reader=Layout("D01_<phone>/orig/D01_img_orig_0001.jpg", [r"D\d\d_img_orig_\d{4}\.(jpg|JPG)"]),
            title="Forchheim",
            license_link="https://faui1-files.cs.fau.de/public/mmsec/datasets/fodb/",
            citation="B. Hadwiger, C. Riess: The Forchheim Image Database for Camera Identification in the Wild. "
            "MMForWILD 2020. arXiv:2011.02241",
        ),
        Source(
            name="imd2020",
            # One original a folder; the others there are its manipulated versions and their masks.
            reader=Layout(
                "1a1ogs/1a1ogs_orig.jpg beside its manipulated versions and their masks",
                [r"[^/]+/[^/]+_orig\.(jpg|jpeg|png|JPG|JPEG|PNG)"],
            ),
            title="IMD2020",
            license_link="http://staff.utia.cas.cz/novozada/db/",
            citation="A. Novozámský, B. Mahdian, S. Saic: IMD2020: A Large-Scale Annotated Dataset Tailored for "
            "Detecting Manipulated Images. WACV Workshops 2020",
        ),
        Source(
            name="lhq",
            # The complete images before their reduced copies, PNG before JPEG.
            reader=Layout(
                "LHQ/0000000.png (or lhq_1024/, lhq_1024_jpg/, lhq_256/)",
                [
                    r"(LHQ|lhq)/\d{7}\.(png|jpg)",
                    r"(LHQ|lhq)_?1024/\d{7}\.(png|jpg)",
                    r"(LHQ|lhq)_?1024_jpg/\d{7}\.jpg",
                    r"(LHQ|lhq)_?256/\d{7}\.png",
                    r"\d{7}\.(png|jpg)",
                ],
            ),
            title="Landscapes HQ",
            # "The dataset itself" is CC BY 2.0, and each image has its own licence, Unsplash's among them.
            license_link="https://github.com/universome/alis/blob/master/lhq.md#license",
            citation="I. Skorokhodov, G. Sotnikov, M. Elhoseiny: Aligning Latent and Image Spaces to Connect the "
            "Unconnectable. ICCV 2021. arXiv:2104.06954",
        ),
        Source(
            name="vision",
            # The cameras' own pictures of scenes. Not natFBH, natFBL and natWA, the same after Facebook and WhatsApp;
            # and not flat, which are the cameras' own as well, but of bare walls and sky, for sensor fingerprints.
            reader=Layout(
                "D01_<phone>/images/nat/D01_I_nat_0001.jpg",
                [r"images/nat/[^/]+\.(jpg|jpeg|JPG)", r"D\d\d_I_nat_\d{4}\.(jpg|JPG)"],
            ),
            title="VISION",
            license_link="https://lesc.dinfo.unifi.it/VISION/",
            citation="D. Shullani, M. Fontani, M. Iuliani, O. Al Shaya, A. Piva: VISION: a video and image dataset for "
            "source identification. EURASIP Journal on Information Security 2017:15",
        ),
        Source(
            name="raise",
            # The TIFF that came with each raw file. The raw file itself (NEF) holds no picture yet: it is reported.
            reader=Layout(
                "r000da54ft.TIF (from the links in RAISE_1k.csv or another of its lists)",
                [r"r[0-9a-f]+t\.(TIF|tif|TIFF|tiff|png)", r"r[0-9a-f]+t\.(NEF|nef)"],
            ),
            title="RAISE",
            license_link="http://loki.disi.unitn.it/RAISE/",
            citation="D.-T. Dang-Nguyen, C. Pasquini, V. Conotter, G. Boato: RAISE: a raw images dataset for digital "
            "image forensics. ACM MMSys 2015",
        ),
    )
}
"""Name -> source."""


def source_named(name: str) -> Source:
    """The source of that name, in upper or lower case: a known one, or one that is opened by what lies there and whose
    licence is unknown."""
    return KNOWN.get(name.lower()) or Source(name=name, reader=read_any)


def looks_like(root: Path) -> str | None:
    """The title of the known data set that a folder is laid out as; None: of none."""
    if any(root.glob("annotations/captions_*.json")):
        return KNOWN["coco"].title
    ids = list(image_ids(root))
    layouts = ((source.title, source.reader) for source in KNOWN.values())
    return next((title for title, reader in layouts if isinstance(reader, Layout) and reader.chosen(ids)), None)
