"""Two towers that turn paragraphs into points, near each other for those of one topic. Both read one table of words."""
import gpuflow as paddle
from gpuflow import ParamAttr, nn
from gpuflow.nn.initializer import Assign


def table(vectors):
    """The pretrained vectors, by name: whoever says "words" gets this one parameter, and its strategy with it.

    They learn at 0.3 of the optimizer's rate once they are let free (`trainable`); until then they are as they came.
    """
    return ParamAttr(name="words", initializer=None if vectors is None else Assign(vectors), learning_rate=0.3,
                     trainable=False)


class Tower(nn.Layer):
    """[n, t] ids to [n, size] points of length one: the mean of the words' vectors, then two layers."""

    def __init__(self, words, size, vectors):
        super().__init__()
        self.words = nn.Embedding(words, size, padding_idx=0, weight_attr=table(vectors))
        self.shape = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, size))

    def forward(self, ids):
        there = (ids != 0).astype("float32").unsqueeze(-1)
        mean = (self.words(ids) * there).sum(axis=1) / there.sum(axis=1)
        return nn.functional.normalize(mean + self.shape(mean), axis=-1)


class TwoTowers(nn.Layer):
    """One tower for questions, one for answers; their tables are the same parameter."""

    def __init__(self, words, size, vectors=None):
        super().__init__()
        self.questions, self.answers = Tower(words, size, vectors), Tower(words, size, vectors)

    def forward(self, questions, answers):
        """[n, m] likenesses, 20 for points that coincide."""
        return 20 * paddle.matmul(self.questions(questions), self.answers(answers), transpose_y=True)

    def let_words_learn(self, free=True):
        self.questions.words.weight.trainable = free
