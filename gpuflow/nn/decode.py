"""Decoding step by step until every sequence has ended: `dynamic_decode`, and beam search with any recurrent cell."""
import contextlib
import warnings
from typing import Any, NamedTuple

from gpuflow import dtypes
from gpuflow.dispatch import call, in_dynamic_mode
from gpuflow.errors import explain
from gpuflow.functional.creation import arange, full
from gpuflow.functional.manipulation import reshape, stack, tile, transpose, unsqueeze
from gpuflow.functional.search import topk
from gpuflow.nn import functional as F
from gpuflow.nn.nested import leaves, mapped
from gpuflow.ops.registry import OPS

__all__ = ["BeamSearchDecoder", "dynamic_decode"]

_NEVER = -1e9   # the log-probability of what must not happen


class Decoder:
    """What `dynamic_decode` runs. Subclasses define `initialize` and `step`; and `finalize` for a last word."""

    def initialize(self, inits):
        """(first inputs, first states, finished: bool tensor [batch, ...])."""
        raise NotImplementedError

    def step(self, time, inputs, states, **kwargs):
        """(outputs, next states, next inputs, finished). time: int64 tensor [1]."""
        raise NotImplementedError

    def finalize(self, outputs, final_states, sequence_lengths):
        """(outputs, states) from the outputs of all steps, time first, and the last states."""
        raise NotImplementedError

    @property
    def tracks_own_finished(self):
        """True when what `step` says of `finished` is final, False when who has finished once stays finished."""
        return False


class BeamSearchDecoder(Decoder):
    """Keeps, per sample, the beam_size likeliest sequences that `cell` writes.

    cell: called with (inputs, states) of [batch * beam_size, ...]; start_token, end_token: ids. embedding_fn: from ids
    [batch, beam_size] to the cell's inputs. output_fn: from the cell's outputs to logits over the vocabulary.
    Tensors in states other than the cell's own, say an encoder's result that `cell` closes over, have to be brought to
    batch * beam_size rows with `tile_beam_merge_with_batch`.
    """

    class OutputWrapper(NamedTuple):
        """What a step found, each [batch, beam_size], the likeliest first."""

        scores: Any
        predicted_ids: Any
        parent_ids: Any

    class StateWrapper(NamedTuple):
        """The cell's states [batch, beam_size, ...], and per beam its log-probability, whether it ended, its length."""

        cell_states: Any
        log_probs: Any
        finished: Any
        lengths: Any

    def __init__(self, cell, start_token, end_token, beam_size, embedding_fn=None, output_fn=None):
        if beam_size < 1:
            raise ValueError(explain("BeamSearchDecoder", "beam_size above 0", repr(beam_size)))
        self.cell, self.embedding_fn, self.output_fn = cell, embedding_fn, output_fn
        self.start_token, self.end_token, self.beam_size = start_token, end_token, beam_size

    @staticmethod
    def tile_beam_merge_with_batch(x, beam_size):
        """[batch, ...] to [batch * beam_size, ...], each row beam_size times."""
        return call(OPS["repeat_interleave"], (x,), {"repeats": beam_size, "axis": 0})

    def _merged(self, x):
        """[batch, beam_size, ...] to [batch * beam_size, ...]."""
        return reshape(x, [-1, *x.shape[2:]])

    def _apart(self, x):
        return reshape(x, [-1, self.beam_size, *x.shape[1:]])

    def _embedded(self, ids):
        return ids if self.embedding_fn is None else self.embedding_fn(ids)

    def initialize(self, initial_cell_states):
        """initial_cell_states: the cell's, [batch, ...]. At first one beam is alive: the others would say the same."""
        batch = leaves(initial_cell_states)[0].shape[0]
        states = mapped(lambda x: tile(unsqueeze(x, 1), [1, self.beam_size] + [1] * (len(x.shape) - 1)),
                        initial_cell_states)
        kind = dtypes.default_float()
        alone = call(OPS["concat"], (full([batch, 1], 0.0, kind), full([batch, self.beam_size - 1], _NEVER, kind)),
                     {"axis": 1})
        ids, finished = (full([batch, self.beam_size], value, dtype)
                         for value, dtype in ((self.start_token, "int64"), (False, "bool")))
        return self._embedded(ids), self.StateWrapper(states, alone, finished, ids * 0), finished

    def step(self, time, inputs, states, **kwargs):
        """One step of all beams; of beam_size * vocabulary continuations the beam_size likeliest go on."""
        outputs, cell_states = self.cell(mapped(self._merged, inputs), mapped(self._merged, states.cell_states),
                                         **kwargs)
        outputs, cell_states = mapped(self._apart, outputs), mapped(self._apart, cell_states)
        logits = outputs if self.output_fn is None else self.output_fn(outputs)
        vocabulary, beams = logits.shape[-1], self.beam_size
        end = arange(vocabulary, dtype="int64") == self.end_token
        ended = call(OPS["where"], (end, full([1], 0.0, logits.dtype), _NEVER))   # nothing but the end follows the end
        scores = call(OPS["where"], (unsqueeze(states.finished, 2), ended, F.log_softmax(logits)))
        scores = scores + unsqueeze(states.log_probs, 2)
        best, places = topk(reshape(scores, [-1, beams * vocabulary]), beams)
        parents, ids = places // vocabulary, places % vocabulary
        rows = parents + unsqueeze(arange(parents.shape[0], dtype="int64"), 1) * beams

        def of_parents(x):
            return self._merged(x)[rows]

        finished = of_parents(states.finished)
        lengths = of_parents(states.lengths)
        lengths = lengths + (~finished).astype(lengths.dtype)
        finished = finished | (ids == self.end_token)
        following = self.StateWrapper(mapped(of_parents, cell_states), best, finished, lengths)
        return self.OutputWrapper(best, ids, parents), following, self._embedded(ids), finished

    def finalize(self, outputs, final_states, sequence_lengths):
        """(ids [time, batch, beam_size] of the sequences that the last step has, the last states)."""
        return F.gather_tree(outputs.predicted_ids, outputs.parent_ids), final_states

    @property
    def tracks_own_finished(self):
        return True


def _kept_where(finished, old, new):
    while len(finished.shape) < len(new.shape):
        finished = unsqueeze(finished, -1)
    return call(OPS["where"], (finished, old, new))


def dynamic_decode(decoder, inits=None, max_step_num=None, output_time_major=False, impute_finished=False,
                   is_test=False, return_length=False, **kwargs):
    """(outputs, final states), with return_length also the lengths: `decoder` until all have finished.

    inits: what decoder.initialize gets. max_step_num: the last step's number, from 0, if they do not finish before.
    outputs: what decoder.finalize makes of all steps', [batch, time, ...], or time first with output_time_major.
    impute_finished: states stand still where a sequence has finished (decoders that do not track that themselves).
    kwargs go to decoder.step. is_test changes nothing. Eager mode only: each step asks the device who has finished.
    """
    if not in_dynamic_mode():
        raise RuntimeError(explain("dynamic_decode", "eager mode, since it runs until the numbers say stop",
                                   "a Program", "gpuflow.disable_static()"))
    inputs, states, finished = decoder.initialize(inits)
    lengths = finished.astype("int64") * 0
    steps: list[Any] = []
    while not bool(finished.all()) and (max_step_num is None or len(steps) <= max_step_num):
        outputs, new_states, inputs, ended = decoder.step(full([1], len(steps), "int64"), inputs, states, **kwargs)
        if decoder.tracks_own_finished:
            if not hasattr(new_states, "lengths"):
                warnings.warn("dynamic_decode: the decoder's states have no `lengths`; those returned are zero",
                              stacklevel=2)
            lengths = getattr(new_states, "lengths", lengths)
        else:
            ended = ended | finished
            lengths = lengths + (~ended).astype("int64")
            if impute_finished:
                new_states = mapped(lambda old, new, ended=ended: _kept_where(ended, old, new), states, new_states)
        states, finished = new_states, ended
        steps.append(outputs)
    if not steps:
        raise ValueError(explain("dynamic_decode", "a sequence that has not finished at the start, and max_step_num of "
                                 "0 or more", f"max_step_num={max_step_num}"))
    outputs = mapped(lambda *parts: stack(list(parts), 0), *steps)
    with contextlib.suppress(NotImplementedError):
        outputs, states = decoder.finalize(outputs, states, lengths)
    if not output_time_major:
        outputs = mapped(lambda x: transpose(x, [1, 0, *range(2, len(x.shape))]), outputs)
    return (outputs, states, lengths) if return_length else (outputs, states)
