"""What must hold of the records before they are joined: of samples, prompts and catalogue.

Most checks run while the join goes through the batches, because a problem within some generators can be found without
the others; what concerns all prompts or the whole catalogue is checked once. A batch is in the relations `SAMPLES` and
`BATCH_CAPTIONS` (`joining/relations.py`).
"""

from typing import get_args

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.checks.failures import NAMED_ROWS, Failure, Problem, failing, failing_rules, raise_build_failures
from manifests.checks.remedies import CAPTION_AGAIN, RESTORE_CATALOG, SAMPLE_ANEW
from manifests.joining.relations import BATCH_CAPTIONS, CAPTIONS, CATALOG, SAMPLES
from manifests.manifest import CaptionOrigin
from manifests.tables.generators import REJECTIONS
from samplers.sample import SUFFIXES, Origin
from workspace.identity import SEED_BITS
from workspace.removed import REMOVED_PROMPT

_SAMPLE = f"replace({SAMPLES.folder}, '--', '/') || ' #' || {SAMPLES.index}"

#: An image's file is where the sampler puts it, or in a part of its own generator.
_NOT_ITS_OWN = f"""CASE WHEN {SAMPLES.path} = concat('images/', {SAMPLES.folder}, '/', {SAMPLES.image_name}) THEN false
    ELSE NOT starts_with({SAMPLES.path}, concat('samples/', {SAMPLES.folder}, '/part-'))
        OR contains({SAMPLES.path}, '..')
        OR NOT ends_with({SAMPLES.path}, concat('.parquet#', {SAMPLES.image_name})) END"""

#: The real image of its prompt was removed, and so was the prompt.
_OF_REMOVED = f"starts_with({SAMPLES.prompt_id}, '{REMOVED_PROMPT}')"

#: The suffix of an image's name, by its format.
_SUFFIXES = " ".join(f"WHEN '{name}' THEN '.{suffix}'" for name, suffix in SUFFIXES.items())

_INCOMPLETE = Problem(
    "kept [sample lacks|samples lack] a value that every image has (name, path, sha256, format, mode, size)",
    SAMPLE_ANEW,
)

#: What may be wrong with a single sample.
_OF_A_SAMPLE = {
    Problem("[sample has|samples have] an unknown status", SAMPLE_ANEW): f"""
        {SAMPLES.result} NOT IN ('kept', {", ".join(repr(status) for status in REJECTIONS)})""",
    _INCOMPLETE: f"""{SAMPLES.result} = 'kept' AND (
        {SAMPLES.image_name} IS NULL OR {SAMPLES.path} IS NULL OR {SAMPLES.sha256} IS NULL OR {SAMPLES.format} IS NULL
        OR {SAMPLES.mode} IS NULL OR {SAMPLES.width} IS NULL OR {SAMPLES.height} IS NULL
        OR {SAMPLES.file_size} IS NULL)""",
    # Whether its digits are right, the check of the file tells.
    Problem("[sample has|samples have] an invalid sha256", SAMPLE_ANEW): f"strlen({SAMPLES.sha256}) <> 64",
    Problem("[sample has|samples have] a file name that is not made from [its|their] index", SAMPLE_ANEW): f"""
        {SAMPLES.image_name} <> printf('%08d', {SAMPLES.index}) || CASE {SAMPLES.format} {_SUFFIXES} END""",
    Problem("[sample names|samples name] a file of another sample", SAMPLE_ANEW): f"""
        {SAMPLES.image_name} IS NOT NULL AND {_NOT_ITS_OWN}""",
    Problem(
        "[sample is|samples are] not PNG of mode RGB or L, or [has|have] an impossible size", SAMPLE_ANEW
    ): f"""{SAMPLES.origin} = 'sampled' AND ({SAMPLES.format} <> 'PNG' OR {SAMPLES.mode} NOT IN ('RGB', 'L'))
        OR {SAMPLES.format} NOT IN {(*SUFFIXES,)!r}
        OR {SAMPLES.result} = 'kept' AND ({SAMPLES.width} NOT BETWEEN 1 AND 16384
            OR {SAMPLES.height} NOT BETWEEN 1 AND 16384 OR {SAMPLES.file_size} < 1)""",
    Problem(
        f"[sample has|samples have] a seed of more than {SEED_BITS} bits, which many readers of numbers change",
        "another version sampled [it|them]: continue with that version, or name a new --workspace",
    ): f"{SAMPLES.seed} NOT BETWEEN 0 AND {(1 << SEED_BITS) - 1}",
    Problem("[sample has|samples have] an unknown origin, or [lacks|lack] a seed", SAMPLE_ANEW): f"""
        {SAMPLES.origin} NOT IN {get_args(Origin)!r} OR {SAMPLES.origin} = 'sampled' AND {SAMPLES.seed} IS NULL""",
    Problem("[sample was|samples were] kept although flagged, or not checked", SAMPLE_ANEW): f"""
        {SAMPLES.result} = 'kept' AND {SAMPLES.nsfw_flag} IS DISTINCT FROM FALSE""",
    Problem("rejected [sample still has an image|samples still have images]", SAMPLE_ANEW): f"""
        {SAMPLES.result} NOT IN ('kept', 'duplicate') AND {SAMPLES.path} IS NOT NULL""",
}

#: What may be wrong with the numbers and seeds of a generator's samples (`_are_numbered`).
_OF_NUMBERS = {
    Problem("[sample is|samples are] duplicated in samples/", SAMPLE_ANEW): f"""
        SELECT {_SAMPLE} FROM (
            SELECT {SAMPLES.generator_row}, {SAMPLES.index} FROM {SAMPLES} GROUP BY ALL HAVING count(*) > 1)
        JOIN {CATALOG} ON {CATALOG.row_number} = {SAMPLES.generator_row}""",
    Problem(
        "[generator lacks|generators lack] samples: [its|their] samples are not numbered 0, 1, 2, ... (of a later "
        "round: from a number of its own on)",
        SAMPLE_ANEW,
    ): f"""
        SELECT DISTINCT {CATALOG.generator} FROM (
            SELECT {SAMPLES.generator_row}, lowest, highest, numbers,
                lag(highest) OVER (PARTITION BY {SAMPLES.generator_row} ORDER BY {SAMPLES.round}) AS before
            FROM (
                SELECT {SAMPLES.generator_row}, {SAMPLES.round}, min({SAMPLES.index}) AS lowest,
                    max({SAMPLES.index}) AS highest, count(DISTINCT {SAMPLES.index}) AS numbers
                FROM {SAMPLES} GROUP BY {SAMPLES.generator_row}, {SAMPLES.round}))
        JOIN {CATALOG} ON {CATALOG.row_number} = {SAMPLES.generator_row}
        WHERE highest - lowest >= numbers OR lowest <= before OR (before IS NULL AND lowest <> 0)""",
    Problem("[sample has|samples have] the seed of another sample of the same generator", SAMPLE_ANEW): f"""
        SELECT {_SAMPLE} FROM (
            SELECT {SAMPLES.generator_row}, max({SAMPLES.index}) AS {SAMPLES.index} FROM {SAMPLES}
            WHERE {SAMPLES.origin} = 'sampled'
            GROUP BY {SAMPLES.generator_row}, {SAMPLES.seed} HAVING min({SAMPLES.index}) <> max({SAMPLES.index}))
        JOIN {CATALOG} ON {CATALOG.row_number} = {SAMPLES.generator_row}""",
}

#: What may be wrong with samples beside the catalogue and the captions.
_OF_A_BATCH = {
    Problem(
        "[generator was|generators were] sampled at a revision that the catalogue does not have",
        "restore the catalogue with which [it was|they were] sampled, or remove [its|their] folders in samples/ and "
        "images/, then run `cf-sample` again",
    ): f"""
        SELECT DISTINCT {SAMPLES.model_name} || '@' || {SAMPLES.revision} FROM {SAMPLES}
        WHERE {SAMPLES.generator_row} IS NULL""",
    Problem("[sample is|samples are] in the folder of another generator", SAMPLE_ANEW): f"""
        SELECT s.{SAMPLES.model_name} || ' #' || {SAMPLES.index} FROM {SAMPLES} s
        JOIN {CATALOG} c ON c.{CATALOG.row_number} = s.{SAMPLES.generator_row}
        WHERE s.{SAMPLES.folder} <> c.{CATALOG.folder}""",
    Problem(
        "[sample names|samples name] a prompt that is not in prompts/",
        "restore prompts/ from a copy, or run `cf-caption` again with the same options",
    ): f"""
        SELECT {_SAMPLE} || ': ' || {SAMPLES.prompt_id} FROM {SAMPLES}
        WHERE {SAMPLES.prompt_id} IS NOT NULL AND {SAMPLES.caption} IS NULL AND NOT {_OF_REMOVED}""",
    Problem("[sample has|samples have] another real source than [its prompt|their prompts]", SAMPLE_ANEW): f"""
        SELECT {_SAMPLE} || ': ' || coalesce(s.{SAMPLES.real_source}, 'none') FROM {SAMPLES} s
        LEFT JOIN {BATCH_CAPTIONS} c ON c.{BATCH_CAPTIONS.row_number} = s.{SAMPLES.caption}
        WHERE s.{SAMPLES.real_source} IS DISTINCT FROM c.{BATCH_CAPTIONS.real_source}
            AND (s.{SAMPLES.caption} IS NOT NULL
                OR s.{SAMPLES.prompt_id} IS NULL AND s.{SAMPLES.origin} <> 'imported')""",
    Problem(
        "[sample lacks|samples lack] the prompt that [its generator needs|their generators need]", SAMPLE_ANEW
    ): f"""
        SELECT {_SAMPLE} FROM {SAMPLES}
        SEMI JOIN (FROM {CATALOG} WHERE {CATALOG.task} = 'text-to-image') c
            ON c.{CATALOG.row_number} = {SAMPLES.generator_row}
        WHERE {SAMPLES.origin} <> 'imported'
            AND ({SAMPLES.prompt_id} IS NULL OR ({SAMPLES.without_prompt} AND NOT {_OF_REMOVED}))""",
}

#: What may be wrong with all prompts and with the catalogue.
_OF_ALL = {
    Problem("prompt [id is|ids are] duplicated in prompts/", CAPTION_AGAIN): f"""
        SELECT {CAPTIONS.prompt_id} FROM {CAPTIONS} GROUP BY {CAPTIONS.prompt_id} HAVING count(*) > 1""",
    Problem("real [image has|images have] several sha256 in prompts/", CAPTION_AGAIN): f"""
        SELECT {CAPTIONS.real_source} || '/' || {CAPTIONS.real_id} FROM {CAPTIONS}
        WHERE {CAPTIONS.real_sha256} IS NOT NULL GROUP BY {CAPTIONS.real_source}, {CAPTIONS.real_id}
        HAVING min(hash({CAPTIONS.real_sha256})) <> max(hash({CAPTIONS.real_sha256}))""",
    Problem("[prompt has|prompts have] an invalid real_sha256", CAPTION_AGAIN): f"""
        SELECT {CAPTIONS.prompt_id} FROM {CAPTIONS} WHERE strlen({CAPTIONS.real_sha256}) <> 64""",
    Problem("[prompt has|prompts have] no real image, and [is|are] not of a file of prompts", CAPTION_AGAIN): f"""
        SELECT {CAPTIONS.prompt_id} FROM {CAPTIONS}
        WHERE ({CAPTIONS.real_sha256} IS NULL OR {CAPTIONS.real_id} IS NULL)
            AND ({CAPTIONS.caption_origin}::VARCHAR <> 'user'
                OR coalesce({CAPTIONS.real_sha256}, {CAPTIONS.real_id}) IS NOT NULL)""",
    Problem(
        f"[prompt has|prompts have] an unknown caption_origin (none of {', '.join(get_args(CaptionOrigin))})",
        "prompts/ was written by another version: name a new --workspace and start with `cf-crawl`",
    ): f"""
        SELECT {CAPTIONS.prompt_id} || ': ' || {CAPTIONS.caption_origin} FROM {CAPTIONS}
        WHERE {CAPTIONS.caption_origin}::VARCHAR NOT IN {get_args(CaptionOrigin)!r}""",
    Problem("[generator is|generators are] duplicated in the catalogue", RESTORE_CATALOG): f"""
        SELECT {CATALOG.generator} FROM {CATALOG} GROUP BY {CATALOG.generator} HAVING count(*) > 1""",
    Problem(
        "[generator has|generators have] a licence without a source, or a source without a licence", RESTORE_CATALOG
    ): f"""
        SELECT {CATALOG.generator} FROM {CATALOG}
        WHERE ({CATALOG.license} IS NULL) <> ({CATALOG.license_source} = 'none')""",
}


class RowChecks:
    """The checks of records, over a connection of `join.open_records`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._failures: dict[Problem, Failure] = {}

    def check_batch(self, samples: pa.Table) -> None:
        """Check the batch that `join.write_manifest` works on; `samples` are its `SAMPLES`.

        Raises `CommunityForensicsError` at once where samples are so incomplete that no row can be written.
        """
        self._add(failing_rules(self._connection, SAMPLES, _SAMPLE, _OF_A_SAMPLE))
        for problem, query in (_OF_A_BATCH if _are_numbered(samples) else _OF_NUMBERS | _OF_A_BATCH).items():
            self._add(failing(self._connection, problem, query))
        if _INCOMPLETE in self._failures:
            raise_build_failures(self.failures())

    def failures(self) -> list[Failure]:
        """What is wrong; to be called after the last batch."""
        for problem, query in _OF_ALL.items():
            self._add(failing(self._connection, problem, query))
        return list(self._failures.values())

    def _add(self, failures: list[Failure]) -> None:
        for new in failures:
            before = self._failures.get(new.problem, Failure(new.problem, 0, ()))
            named = (*before.named, *new.named)[:NAMED_ROWS]
            self._failures[new.problem] = Failure(new.problem, before.rows + new.rows, named)


def _are_numbered(samples: pa.Table) -> bool:
    """Whether the samples of each generator are numbered 0, 1, 2, ..., those of each round without a gap, and no two of
    all have one seed: then nothing is wrong with their numbers and seeds, and the queries about them are not needed."""
    names = [SAMPLES.generator_row.name, SAMPLES.round.name, SAMPLES.index.name]
    known = samples.select(names).filter(pc.is_valid(samples[SAMPLES.generator_row.name]))
    generator, made_in, index = (column.to_numpy() for column in known.columns[:3])
    # What others made need not have one, nor one of its own.
    seed = samples[SAMPLES.seed.name].filter(pc.equal(samples[SAMPLES.origin.name], "sampled"))
    # The rounds of a generator are neighbours, in order.
    groups, group = np.unique(generator.astype(np.int64) << 32 | made_in, return_inverse=True)
    count = np.bincount(group)
    lowest = np.full(count.size, np.iinfo(np.int64).max)
    np.minimum.at(lowest, group, index)
    first = np.append(True, np.diff(groups >> 32) > 0)
    follows = np.append(0, (lowest + count)[:-1]) <= lowest
    if not np.where(first, lowest == 0, follows).all() or not (index - lowest[group] < count[group]).all():
        return False
    # A different number for each group and index.
    number = (np.cumsum(count) - count)[group] + index - lowest[group]
    return bool(np.bincount(number).max(initial=0) <= 1) and pc.count_distinct(seed, "all").as_py() == len(seed)
