"""Runs: on the CPU, rows that lie one after the other and want the same are taken as one long stretch.

Thousands of small parameters cost what a few large ones do then. A run goes over the padding between its rows, which is
zero and stays so: in the gradient nobody writes it, elsewhere the kernel looks at it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuflow_kernels.update.layout import ALIGN, CHUNK_FIELDS, CLIP_NORM, DENSE, STILL, TAGS
from gpuflow_kernels.update.parts import Part, chunk_table

FIELDS = len(CHUNK_FIELDS) + 2


@dataclass(frozen=True)
class Runs:
    """chunks  [int64 [n, 6]], one table for each part: CHUNK_FIELDS, and from which gap to which.
    gaps    int64 [g, 2]: padding between the rows of a run, of all parts.
    spans   int64 [2, rows]: from which partial sum to which; those of a run belong to the first row of it.
    """

    chunks: list[np.ndarray]
    gaps: np.ndarray
    spans: np.ndarray

    @classmethod
    def for_norms(cls, parts: list[Part], tags: np.ndarray) -> Runs:
        """Rows of one norm group that have a gradient; nothing else about a row changes the norm, even in its bits."""
        counted = np.isin(tags[:, TAGS.index("active")], (DENSE, STILL))
        return cls._of(parts, np.stack([tags[:, TAGS.index("group")], counted], axis=1), _alone(tags))

    @classmethod
    def for_updates(cls, parts: list[Part], tags: np.ndarray, columns: np.ndarray) -> Runs:
        """Rows with equal columns and tags."""
        return cls._of(parts, np.concatenate([tags, columns], axis=1), _alone(tags))

    @classmethod
    def by_row(cls, parts: list[Part], rows: int) -> Runs:
        """Every row by itself, as a rule with norms of whole parameters needs it."""
        return cls._of(parts, np.zeros((rows, 0)), np.ones(rows, bool))

    @classmethod
    def _of(cls, parts, keys: np.ndarray, alone: np.ndarray) -> Runs:
        """keys [rows, k]: rows are taken together where all of theirs are equal. alone: bool [rows], those that never
        are."""
        chunks, gaps, found, spans = [], [], 0, np.zeros((2, len(keys)), np.int64)
        for part in parts:
            begin, end, row, _ = part.chunks.T
            before, after = row[:-1], row[1:]
            alike = (keys[after] == keys[before]).all(1) & ~alone[after] & ~alone[before]
            joined = (after == before) | alike
            joined &= begin[1:] == -(-end[:-1] // ALIGN) * ALIGN
            between = np.flatnonzero(joined & (begin[1:] != end[:-1]))
            gaps.append(np.stack([end[between], begin[between + 1]], axis=1))
            first = np.flatnonzero(np.r_[True, ~joined][: len(begin)])
            last = np.r_[first[1:], len(begin)][: len(first)] - 1
            table = chunk_table(begin[first], end[last])
            run, gap = table[:, 2], found + np.searchsorted(gaps[-1][:, 0], np.r_[table[:, 0], len(table) and end[-1]])
            cuts = part.first_chunk + np.searchsorted(run, np.arange(len(first) + 1))
            spans[:, row[first]] = cuts[:-1], cuts[1:]
            table[:, 2] = row[first][run]
            chunks.append(np.concatenate([table, gap[:-1, None], gap[1:, None]], axis=1))
            found += len(between)
        return cls(chunks, np.concatenate([np.zeros((0, 2), np.int64), *gaps]), spans)


def _alone(tags) -> np.ndarray:
    """Rows that are clipped by a norm of their own."""
    return tags[:, TAGS.index("clip")] == CLIP_NORM
