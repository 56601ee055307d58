"""Rows of real images: what the manifest says of one, made in one way of what is known about it.

A build knows it from the prompts, a restoring from the list that a public edition came with (`withheld`); so what is
restored is what the full edition has, column for column.
"""

from manifests.manifest import REAL_SUBSET

#: The manifest's rows of the images in a relation `real_images`, which has the list's columns, and `path`.
REAL_ROWS = f"""
SELECT
    0::BIGINT AS label, parse_filename(real_id) AS image_name, '{REAL_SUBSET}' AS subset, split,
    'real' AS architecture, license, 'unknown' AS license_family, prompt, caption_origin, captioner, real_source,
    real_id, real_sha256, format, mode, width, height, real_sha256 AS sha256, redistributable, path
FROM real_images
"""
