"""A small GPT (Radford et al. 2018): a Transformer that sees only what came before, over characters."""
import gpuflow as paddle
from gpuflow import ParamAttr, nn
from gpuflow.nn.initializer import Normal
from gpuflow.regularizer import L2Decay


def matrices():
    """Weights of products: small at first, and decayed by the optimizer."""
    return ParamAttr(initializer=Normal(0.0, 0.02))


def tables():
    """Embeddings: a rare row gets few gradients, so decay would only wear it down. The regularizer here wins."""
    return ParamAttr(initializer=Normal(0.0, 0.02), regularizer=L2Decay(0.0))


def offsets():
    """Biases: not decayed."""
    return ParamAttr(regularizer=L2Decay(0.0))


class CharGPT(nn.Layer):
    """[n, t] ids of characters, t up to `context`, to [n, t, characters] logits of the ids that come next."""

    def __init__(self, characters, context=128, width=256, layers=4, heads=4, dropout=0.1):
        super().__init__()
        self.context = context
        self.characters = nn.Embedding(characters, width, weight_attr=tables())
        self.places = nn.Embedding(context, width, weight_attr=tables())
        self.dropout = nn.Dropout(dropout)
        block = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, "gelu", normalize_before=True,
                                           weight_attr=matrices(), bias_attr=offsets())
        self.blocks = nn.TransformerEncoder(block, layers, nn.LayerNorm(width))
        self.register_buffer("past", paddle.tril(paddle.ones([context, context], "bool")), persistable=False)

    def forward(self, ids, caches=None, start=0):
        """Logits; with caches (logits, the caches with ids added), ids being those from place `start` on."""
        length = ids.shape[1]
        x = self.dropout(self.characters(ids) + self.places(paddle.arange(start, start + length)))
        if caches is None:
            return self.scores(self.blocks(x, self.past[:length, :length]))
        x, caches = self.blocks(x, self.past[start : start + length, : start + length], caches)
        return self.scores(x), caches

    def scores(self, x):
        """The embedding serves as the output's weight as well: what a character is, is how it is recognised."""
        return paddle.matmul(x, self.characters.weight, transpose_y=True)

    @paddle.no_grad()
    def write(self, ids, count, temperature=0.8):
        """`count` ids that go on from the list `ids`, drawn one by one; a lower temperature takes fewer risks.

        Caches keep each step's work small. When the context is full, writing goes on from its second half.
        """
        self.eval()
        written = list(ids)
        while len(written) < len(ids) + count:
            window = paddle.to_tensor([written[-self.context // 2 :]])
            caches, start = self.blocks.gen_cache(self.characters(window)), 0
            while start + window.shape[1] <= self.context and len(written) < len(ids) + count:
                logits, caches = self(window, caches, start)
                start += window.shape[1]
                window = paddle.multinomial(nn.functional.softmax(logits[:, -1] / temperature))
                written.append(int(window))
        self.train()
        return written[len(ids) :]
