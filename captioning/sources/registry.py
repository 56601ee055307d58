"""The data sets that are known by name; a source with any other name is opened by its content.

A known source's licence holds for every image about which its copy on disk states nothing. A licence that its authors
do not state, or whose page could not be read when this was written, is None: unknown, and such images are never
published.
"""

from pathlib import Path

from captioning.sources.coco import read_coco
from captioning.sources.containers import read_by_content
from captioning.sources.ffhq import add_licenses
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
            # Each image has its own licence, in the annotations.
            license_link="https://cocodataset.org/#termsofuse",
            citation="T.-Y. Lin et al.: Microsoft COCO: Common Objects in Context. ECCV 2014. arXiv:1405.0312",
        ),
        Source(
            name="imagenet",
            # As on Kaggle (ILSVRC/Data/CLS-LOC/), as unpacked from ILSVRC2012_img_{train,val}.tar with val/ flat or by
            # class, or the class folders alone. Annotations are XML files in another folder.
            reader=Layout(
                "train/n01440764/*.JPEG and val/*.JPEG (or val/n01440764/*.JPEG), also below ILSVRC/Data/CLS-LOC/",
                [
                    r"(train|val|test)/(n\d{8}/)?[^/]+\.(JPEG|jpeg|jpg)",
                    r"n\d{8}/(images/)?n\d{8}_\d+\.(JPEG|jpeg|jpg)",
                ],
            ),
            title="ImageNet",
            # Its terms allow copies for research associates who agree to them, so no publication.
            license="imagenet-terms-of-access",
            license_link="https://www.image-net.org/download.php",
            redistributable=False,
            citation="O. Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge. IJCV 2015. "
            "arXiv:1409.0575",
        ),
        Source(
            name="laion",
            # A list of links; the images are as img2dataset writes them: folders, tar archives or Parquet files.
            reader=read_by_content,
            title="LAION",
            # The list is CC BY 4.0; the licences of the images are unknown.
            license_link="https://laion.ai/faq/",
            citation="C. Schuhmann et al.: LAION-5B: An open large-scale dataset for training next generation "
            "image-text models. NeurIPS 2022. arXiv:2210.08402",
        ),
        Source(
            name="ffhq",
            # Not the thumbnails; the photographs that the faces were cut from only where the faces are missing.
            reader=Layout(
                "images1024x1024/00000/00000.png (or in-the-wild-images/), and ffhq-dataset-v2.json for the licences",
                [r"images1024x1024/(\d{5}/)?\d{5}\.png", r"in-the-wild-images/(\d{5}/)?\d{5}\.png"],
                add_licenses,
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
            # The aligned faces, otherwise the photographs, otherwise CelebAMask-HQ's or StarGAN v2's copies of
            # CelebA-HQ (whose masks are in CelebAMask-HQ-mask-anno/).
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
            # Not unprocessed/, the works of art that the faces were cut from.
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
            # The cameras' files; the five copies that went through social networks were compressed again.
            reader=Layout("D01_<phone>/orig/D01_img_orig_0001.jpg", [r"D\d\d_img_orig_\d{4}\.(jpg|JPG)"]),
            title="Forchheim",
            license_link="https://faui1-files.cs.fau.de/public/mmsec/datasets/fodb/",
            citation="B. Hadwiger, C. Riess: The Forchheim Image Database for Camera Identification in the Wild. "
            "MMForWILD 2020. arXiv:2011.02241",
        ),
        Source(
            name="imd2020",
            # One original in each folder; the other files are its manipulated versions and their masks.
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
            # Full size before reduced copies, PNG before JPEG.
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
            # "The dataset itself" is CC BY 2.0, and each image has its own licence, some of them Unsplash's.
            license_link="https://github.com/universome/alis/blob/master/lhq.md#license",
            citation="I. Skorokhodov, G. Sotnikov, M. Elhoseiny: Aligning Latent and Image Spaces to Connect the "
            "Unconnectable. ICCV 2021. arXiv:2104.06954",
        ),
        Source(
            name="vision",
            # The cameras' photographs of scenes. Not natFBH, natFBL and natWA, the same after Facebook and WhatsApp;
            # and not flat, photographs of bare walls and sky for sensor fingerprints.
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
            # The TIFF file of each raw file. The raw file itself (NEF) is not decoded: it is listed and reported.
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


def find_source(name: str) -> Source:
    """The known source of that name, in upper or lower case; for any other name a source that is opened by its content
    and whose licence is unknown."""
    return KNOWN.get(name.lower()) or Source(name=name, reader=read_by_content)


def recognize(root: Path) -> str | None:
    """The title of the known data set whose layout a folder has; None: it has no known layout."""
    if any(root.glob("annotations/captions_*.json")):
        return KNOWN["coco"].title
    ids = list(image_ids(root))
    layouts = ((source.title, source.reader) for source in KNOWN.values())
    return next((title for title, reader in layouts if isinstance(reader, Layout) and reader.matching(ids)), None)
