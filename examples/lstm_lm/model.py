"""An LSTM that tells the next word, with one table of words for reading and for telling (Press and Wolf 2017)."""
import gpuflow as paddle
from gpuflow import ParamAttr, nn
from gpuflow.nn.initializer import Constant, Uniform
from gpuflow.regularizer import L2Decay


def table():
    """The vectors of words: no decay, since a rare word's vector gets few gradients to make up for it."""
    return ParamAttr(initializer=Uniform(-0.1, 0.1), regularizer=L2Decay(0.0))


def recurrent():
    """What the state is multiplied with at every step: decayed less than the rest, and at half the rate."""
    return ParamAttr(learning_rate=0.5, regularizer=L2Decay(1e-6))


class WordLSTM(nn.Layer):
    """[n, t] ids of words to [n, t, words] logits of the words that come next, and the state (h, c) to go on from."""

    def __init__(self, words, width=256, dropout=0.4):
        super().__init__()
        self.table = nn.Embedding(words, width, weight_attr=table())
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(width, width, weight_hh_attr=recurrent())
        self.offsets = self.create_parameter([words], is_bias=True, default_initializer=Constant(0.0))

    def forward(self, ids, state=None):
        out, state = self.lstm(self.dropout(self.table(ids)), state)
        return self.scores(self.dropout(out)), state

    def scores(self, out):
        return paddle.matmul(out, self.table.weight, transpose_y=True) + self.offsets

    @paddle.no_grad()
    def complete(self, ids, end, beams=8, most=25):
        """Ids that go on from the list `ids` up to `end`, by beam search; of what it finds, the likeliest per word."""
        self.eval()
        _, state = self(paddle.to_tensor([ids[:-1]])) if len(ids) > 1 else (None, None)
        cell = self.lstm[0].cell
        state = cell.get_initial_states(paddle.zeros([1, 1])) if state is None else tuple(s[0] for s in state)
        decoder = nn.BeamSearchDecoder(cell, ids[-1], end, beams, self.table, self.scores)
        found, last = nn.dynamic_decode(decoder, state, max_step_num=most)
        self.train()
        beam = int((last.log_probs / last.lengths.astype("float32")).argmax())
        best = found[0, :, beam].tolist()
        return best[: best.index(end) + 1] if end in best else best
