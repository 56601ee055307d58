"""The tables that the steps of the join and its checks share: what they are called, and what their columns mean.

`sample_batches` makes the first ones, `duplicates` those of equal images, `batch_tables` those that `join` joins a
batch of samples with; `real_images` ends with the real ones, which `equal_files` and `further_images` help to find. A
batch is the samples of some generators, which are worked on together.
"""

from typing import Final

from captioning.prompt import Prompt
from crawler.catalog import CatalogEntry
from manifests.relation import Column, Relation
from samplers.sample import Sample

#: Type of texts that very many captions have in common, kept, and handed to Arrow, as numbers.
REPEATED_TEXT: Final = "repeated_text"

#: Type of a split, ordered as `Split` is: of several, the largest is the one that what they share belongs to. Compared
#: with a text it is a text.
SPLIT_ORDER: Final = "split_order"


class _PartFiles(Relation):
    """The part files of all samples."""

    part = Column("BIGINT", "number of the part, from 0, in the order of the paths")
    generator = Column("VARCHAR", "the generator whose folder it is in")
    path = Column("VARCHAR", "path as DuckDB takes it: characters of patterns are escaped")


class _Parts(_PartFiles):
    """The same, with the number of their rows, as far as their rounds are joined."""

    rows = Column("BIGINT", "number of samples")


class _ImageHashes(Relation):
    """Eight bytes of each sample's image, from which equal images are found."""

    part = Column("INTEGER", "number of the sample's part")
    hash64 = Column("UBIGINT", "hash of the image's sha256; null: a rejected sample, which has no image")


class _RepeatedHashes(Relation):
    """Hashes that more than one image has."""

    hash64 = Column("UBIGINT", "hash of the images' sha256")


class _Duplicates(Relation):
    """Samples whose image is equal to one of a lower index of the same generator: not in the manifest."""

    model_name = Column(of=Sample)
    revision = Column(of=Sample)
    index = Column(of=Sample)


class _RepeatedImages(_Duplicates):
    """Images whose hash more than one image has."""

    round = Column(of=Sample)
    sha256 = Column(of=Sample)


class _SharedImages(Relation):
    """Images that several generators made."""

    sha256 = Column("VARCHAR", "of the image file")
    makers = Column(
        "STRUCT(generator VARCHAR, round INTEGER)[]", "the generators that made it, by name, and in which round"
    )


class _SharedInManifest(_SharedImages):
    """The same, of the generators in the manifest."""

    split = Column(SPLIT_ORDER, "the last split that one of them is in; null: none is in a split")


class _Prompts(Relation):
    """All prompts, as their part files have them."""

    prompt_id = Column(of=Prompt)
    prompt = Column(of=Prompt)
    real_source = Column(of=Prompt)
    real_title = Column(of=Prompt)
    real_id = Column(of=Prompt)
    real_path = Column(of=Prompt)
    real_sha256 = Column(of=Prompt)
    real_format = Column(of=Prompt)
    real_width = Column(of=Prompt)
    real_height = Column(of=Prompt)
    real_mode = Column(of=Prompt)
    real_file_size = Column(of=Prompt)
    real_jpeg_quality = Column(of=Prompt)
    real_chroma_subsampling = Column(of=Prompt)
    real_progressive = Column(of=Prompt)
    real_has_exif = Column(of=Prompt)
    real_has_icc = Column(of=Prompt)
    caption_origin = Column(of=Prompt)
    captioner = Column(of=Prompt)
    license = Column(of=Prompt)
    license_link = Column(of=Prompt)
    redistributable = Column(of=Prompt)
    round = Column(of=Prompt)


class _CatalogFile(Relation):
    """What the join needs of the catalogue's file."""

    model_name = Column(of=CatalogEntry)
    revision = Column(of=CatalogEntry)
    further_revision = Column(of=CatalogEntry)
    subset = Column(of=CatalogEntry)
    architecture = Column(of=CatalogEntry)
    license = Column(of=CatalogEntry)
    license_source = Column(of=CatalogEntry)
    license_family = Column(of=CatalogEntry)
    license_effective = Column(of=CatalogEntry)
    license_family_effective = Column(of=CatalogEntry)
    hf_pipeline_tag = Column(of=CatalogEntry)
    hf_diffusers_tag = Column(of=CatalogEntry)
    task = Column(of=CatalogEntry)
    kind = Column(of=CatalogEntry)
    base_model = Column(of=CatalogEntry)
    lineage = Column(of=CatalogEntry)


class _Catalog(_CatalogFile):
    """The same by name, numbered."""

    generator = Column("VARCHAR", "the generator's name in the workspace (`CatalogEntry.generator`)")
    folder = Column("VARCHAR", "name of the generator's folder in samples/ and images/")
    row_number = Column("BIGINT", "number of this row, from 0")


class _AssignedSplits(Relation):
    """The split of each generator that is in the manifest."""

    generator = Column("VARCHAR", "the generator's name in the workspace")
    split = Column("VARCHAR", "train | validation | test; null: in none")


class _Splits(_AssignedSplits):
    """The same, with the generator's row in the catalogue."""

    split = Column(SPLIT_ORDER, "train | validation | test; null: in none")
    generator_row = Column("BIGINT", "row_number in the catalogue")
    model_name = Column(of=CatalogEntry)
    revision = Column(of=CatalogEntry)


class _HeldPrompts(Relation):
    """Prompts of which a generator that is held out made an image that was kept."""

    hash64 = Column("UBIGINT", "hash of the prompt's id")
    split = Column(SPLIT_ORDER, "validation | test: the generator's")
    round = Column("INTEGER", "the first round in which one did")


class _HeldCaptions(Relation):
    """The same, with what other captions may have in common with theirs."""

    real_sha256 = Column(of=Prompt)
    text64 = Column("UBIGINT", "hash of the caption")
    split = Column(SPLIT_ORDER, "validation | test: the generator's")
    round = Column("INTEGER", "the first round in which one did")


class _CaptionFacts(Relation):
    prompt_id = Column(of=Prompt)
    caption_origin = Column(of=Prompt)
    captioner = Column(of=Prompt)
    real_title = Column(of=Prompt)
    real_source = Column(of=Prompt)
    real_id = Column(of=Prompt)
    real_sha256 = Column(of=Prompt)
    image_split = Column("VARCHAR", "the last split that had a caption of this real image; null: at most train")
    held_split = Column("VARCHAR", "the last split that had this text, or a caption of this image; null: at most train")


class _Captions(_CaptionFacts):
    """What the join needs of each prompt."""

    caption_origin = Column(REPEATED_TEXT, "dataset | generated")
    captioner = Column(REPEATED_TEXT, "model@revision, for generated captions")
    real_title = Column(REPEATED_TEXT, "published name of the real data set")
    real_source = Column(REPEATED_TEXT, "name of the real data set, as the user calls it")
    image_split = Column(SPLIT_ORDER, "the last split that had a caption of this real image; null: at most train")
    held_split = Column(SPLIT_ORDER, "the last split that had this text, or a caption of this image")
    hash64 = Column("UBIGINT", "hash of the prompt's id: numbers are found faster than texts")
    text64 = Column("UBIGINT", "hash of the caption")
    redistributable = Column("BOOLEAN", "whether the real image may be passed on, as far as is known")
    round = Column(of=Prompt)


class _NumberedCaptions(_Captions):
    """The same, numbered."""

    caption_row = Column("BIGINT", "DuckDB's rowid in captions")


class _BatchCaptions(_CaptionFacts):
    """The captions that the samples of this batch had, numbered."""

    caption_row = Column("BIGINT", "DuckDB's rowid in captions")
    row_number = Column("BIGINT", "number of this row, from 0")


class _Samples(Relation):
    """The samples of this batch, numbered: the columns of a sample that the manifest has, those that are looked at, and
    what the join adds."""

    model_name = Column(of=Sample)
    revision = Column(of=Sample)
    index = Column(of=Sample)
    round = Column(of=Sample)
    origin = Column(of=Sample)
    seed = Column(of=Sample)
    scheduler = Column(of=Sample)
    image_name = Column(of=Sample)
    sha256 = Column(of=Sample)
    file_size = Column(of=Sample)
    format = Column(of=Sample)
    mode = Column(of=Sample)
    width = Column(of=Sample)
    height = Column(of=Sample)
    nsfw_flag = Column(of=Sample)
    prompt_id = Column(of=Sample)
    real_source = Column(of=Sample)
    path = Column("VARCHAR", "image.path of the sample")
    without_prompt = Column("BOOLEAN", "whether its prompt is null")
    folder = Column("VARCHAR", "name of the folder that its part is in")
    result = Column("VARCHAR", "kept | duplicate | the status of a rejected sample")
    row_number = Column("BIGINT", "number of this row, from 0")
    generator_row = Column("INTEGER", "row_number in the catalogue; null: not in the catalogue at that revision")
    caption = Column("INTEGER", "row_number in captions_of_batch; null: no prompt, or an unknown one")


class _UsedCaptions(Relation):
    """Captions from which images of the manifest were made."""

    caption_row = Column("BIGINT", "DuckDB's rowid in captions")
    first_use = Column("INTEGER", "the first round in which an image was made from it")
    trained = Column("BOOLEAN", "whether a generator of the train split had it")
    first_trained = Column("INTEGER", "the first round in which one had it; null: none")


class _Images(Relation):
    """The real images of prompts/, each file once, whatever sources it is in."""

    unused_row = Column("BIGINT", "the caption that its row has before one was used: the first by round and prompt_id")
    used_row = Column("BIGINT", "the caption that its row has else: the first used one; null: none was used")
    added = Column("INTEGER", "the first round whose prompts have it")
    first_use = Column("INTEGER", "the first round in which an image was made from one of its captions; null: none")
    split = Column("VARCHAR", "of a used image: train | validation | test; null: in none")
    redistributable = Column("BOOLEAN", "whether it may be passed on by the terms of all sources that have it")
    captions = Column("BIGINT", "rows of prompts/ with this file")


class _LicenseRanks(Relation):
    """The licences of equal files."""

    license = Column("VARCHAR", "as prompts/ has it")
    rank = Column("INTEGER", "how strict its family is, from 0")


class _EqualFiles(Relation):
    """Files that are several real images, and the strictest terms of these (`equal_files`)."""

    real_sha256 = Column(of=Prompt)
    names = Column(
        "STRUCT(real_image VARCHAR, round INTEGER)[]",
        "the real images, each <real_source>/<real_id>, in order, and the round whose prompts have it first",
    )
    license = Column(of=Prompt)
    license_link = Column(of=Prompt)
    redistributable = Column(of=Prompt)


class _FurtherImages(Relation):
    """Real images that join the manifest although none of their captions was used yet (`further_images`)."""

    image = Column("BIGINT", "DuckDB's rowid in images")
    split = Column("VARCHAR", "train | validation | test: the one that it was chosen for")


class _JoinedImages(Relation):
    """The real images of the manifest."""

    image = Column("BIGINT", "DuckDB's rowid in images")
    caption_row = Column("BIGINT", "the caption that its row has")
    split = Column("VARCHAR", "train | validation | test; null: in none")
    prompted = Column("BOOLEAN", "whether a caption of it had been used when it joined")
    round = Column("INTEGER", "the round in which it joined")


class _RealImageOrder(Relation):
    """The real images of the manifest, or of the list of withheld ones, in the order in which they are written."""

    prompt_id = Column(of=Prompt)
    split = Column("VARCHAR", "train | validation | test; null: in none")
    prompted = Column("BOOLEAN", "whether a caption of it had been used when it joined the manifest")
    round = Column("INTEGER", "the round in which it joined")
    row_number = Column("BIGINT", "number of this row, from 0")


class _RealImages(Relation):
    """Real images as the manifest and the list of withheld ones have them."""

    real_source = Column(of=Prompt)
    real_title = Column(of=Prompt)
    real_id = Column(of=Prompt)
    real_sha256 = Column(of=Prompt)
    format = Column("VARCHAR", "as decoded: JPEG, PNG, ...")
    mode = Column("VARCHAR", "as its file has it: RGB, L, CMYK, P, ...")
    width = Column("INTEGER", "pixels")
    height = Column("INTEGER", "pixels")
    file_size = Column("BIGINT", "bytes")
    jpeg_quality = Column("INTEGER", "1 to 100; null: no JPEG")
    chroma_subsampling = Column("VARCHAR", "4:2:0, ...; null: no JPEG")
    progressive = Column("BOOLEAN", "null: no JPEG")
    has_exif = Column("BOOLEAN", "whether the file has EXIF data")
    has_icc = Column("BOOLEAN", "whether the file has a colour profile")
    license = Column(of=Prompt)
    license_link = Column(of=Prompt)
    redistributable = Column(of=Prompt)
    split = Column("VARCHAR", "train | validation | test; null: in none")
    prompt = Column(of=Prompt)
    caption_origin = Column(of=Prompt)
    captioner = Column(of=Prompt)
    prompted = Column("BOOLEAN", "whether a caption of it had been used when it joined the manifest")
    round = Column("INTEGER", "the round in which it joined")
    also_in = Column("VARCHAR[]", "the other real images with the same file; null: none")
    path = Column("VARCHAR", "where the image is: a file, or a locator (workspace/locator.py)")
    row_number = Column("BIGINT", "its place in the order of rows")


PART_FILES: Final = _PartFiles("part_files")
PARTS: Final = _Parts("parts")
IMAGE_HASHES: Final = _ImageHashes("image_hashes")
REPEATED_HASHES: Final = _RepeatedHashes("repeated_hashes")
REPEATED_IMAGES: Final = _RepeatedImages("repeated_images")
DUPLICATES: Final = _Duplicates("duplicates")
SHARED_IMAGES: Final = _SharedImages("shared_images")
SHARED_IN_MANIFEST: Final = _SharedInManifest("shared_in_manifest")
PROMPTS: Final = _Prompts("prompts")
CATALOG_FILE: Final = _CatalogFile("catalog_file")
CATALOG: Final = _Catalog("catalog")
ASSIGNED_SPLITS: Final = _AssignedSplits("assigned_splits")
SPLITS: Final = _Splits("splits")
HELD_PROMPTS: Final = _HeldPrompts("held_prompts")
HELD_CAPTIONS: Final = _HeldCaptions("held_captions")
CAPTIONS: Final = _Captions("captions")
SAMPLES: Final = _Samples("samples")
NUMBERED_CAPTIONS: Final = _NumberedCaptions("numbered_captions")
BATCH_CAPTIONS: Final = _BatchCaptions("captions_of_batch")
USED_CAPTIONS: Final = _UsedCaptions("used_captions")
IMAGES: Final = _Images("images")
LICENSE_RANKS: Final = _LicenseRanks("license_ranks")
EQUAL_FILES: Final = _EqualFiles("equal_files")
FURTHER_IMAGES: Final = _FurtherImages("further_images")
JOINED_IMAGES: Final = _JoinedImages("joined_images")
REAL_IMAGE_ORDER: Final = _RealImageOrder("real_image_order")
REAL_IMAGES: Final = _RealImages("real_images")
