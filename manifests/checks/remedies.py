"""What to do about damaged records and files: which command makes them again, or which files to restore."""

SAMPLE_AGAIN = "run `cf-sample --verify full` with the options of before: it makes damaged images and rows again"
SAMPLE_ANEW = (
    "remove the folders of [that generator|those generators] in samples/ and images/, then run `cf-sample` again: it "
    "makes the same images"
)
CAPTION_AGAIN = (
    "remove the folder of [its|their] real source in prompts/, then run `cf-caption` again with the same options"
)
CAPTION_SAME = "run `cf-caption` again with the same options: it makes the same [file|files]"
RESTORE_CATALOG = "restore catalog.parquet from a copy, or remove it and run `cf-crawl` again"
RESTORE_DATA_SET = "restore the data set to what it was when it was captioned"
