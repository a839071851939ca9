"""What a FusedStep hands to an engine: the parts of a launch, sparse gradients, and where sums of squares go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuflow_kernels.update.layout import CHUNK


@dataclass(frozen=True)
class Part:
    """One bucket in one phase.

    kind    the gradient's dtype for the norms, a Variant for an update.
    packed  the arrays, as the engine packed them.
    end     one past the bucket's last row.
    chunks  int64 [n, 4] on the host, the bucket's own; first_chunk: what the first of them is among all.
    """

    kind: object
    packed: object
    end: int
    chunks: np.ndarray
    first_chunk: int


@dataclass(frozen=True)
class Rows:
    """A sparse gradient on its way to the kernels: values [k * width], of which each `width` belong to row ids[k] of
    the table that starts at element `begin`. first: how many blocks other sparse gradients of the step have before
    it."""

    row: int
    ids: object
    values: object
    begin: int
    width: int
    first: int

    @property
    def blocks(self) -> int:
        """One for each id, and one where there is none, which finds that the row's norm is 0."""
        return max(len(self.ids), 1)


@dataclass(frozen=True)
class Folds:
    """Which partial sums belong to which row: first [rows + 1] on the device, spans [2, rows] (from, to) on the host;
    filled: the rows that have any."""

    first: object
    spans: np.ndarray
    filled: np.ndarray

    @classmethod
    def of(cls, owners: np.ndarray, rows: int, engine):
        """owners: int64 [chunks], the row of each chunk, ascending."""
        first = np.searchsorted(owners, np.arange(rows + 1)).astype(np.int64)
        return cls(engine.constant(first), np.stack([first[:-1], first[1:]]), np.unique(owners))


class Sums:
    """Sums of squares, float64, on the device: row [rows], group [groups + 1] or None, layer [rows, norms].

    chunks: int64 [dense, 4], those of all parts, on the device. folds: of these chunks. norms: how many a rule with
    norms takes of each row. structs: what an engine worked out for these buffers and keeps with them.
    """

    def __init__(self, engine, chunks: np.ndarray, rows: int, groups: int | None = None, norms: int = 0):
        zeros, dense = engine.zeros, len(chunks)
        self.chunks, self.folds, self.dense = engine.constant(chunks), Folds.of(chunks[:, 2], rows, engine), dense
        self.structs: dict = {}
        self.row = zeros(rows, np.float64)
        self.group = None if groups is None else zeros(groups + 1, np.float64)
        self.layer = zeros((rows, norms), np.float64)
        self.partials = zeros(dense, np.float64)
        self.layer_partials = zeros((dense if norms else 0, norms), np.float64)
        self.arrived = zeros(rows + 1, np.uint32)   # how many blocks of a row are done; all 0 between launches

    def make_room(self, sparse: int, engine) -> None:
        """Partial sums for as many rows of sparse gradients; allocates when there were never so many before."""
        if len(self.partials) < self.dense + sparse:
            self.partials = engine.zeros(self.dense + sparse, np.float64)
            self.structs.pop("norms", None)


def chunk_table(begin, end, first_row: int = 0, chunk: int = CHUNK) -> np.ndarray:
    """int64 [n, 4] (begin, end, row, source): each range cut into pieces of at most `chunk`; empty ranges give none."""
    begin, end = np.asarray(begin, np.int64), np.asarray(end, np.int64)
    pieces = -(-(end - begin) // chunk)
    owner = np.repeat(np.arange(len(begin)), pieces)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start = begin[owner] + within * chunk
    return np.stack([start, np.minimum(start + chunk, end[owner]), owner + first_row, start], axis=1)
