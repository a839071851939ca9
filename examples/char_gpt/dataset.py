"""The text of Python's language reference, as `help("while")` shows it: part of every Python, nothing is downloaded."""
import hashlib

import numpy as np

from gpuflow.io import Dataset


def load(length=400_000, test_share=0.1):
    """(training ids, test ids, characters, digest). ids: int64, places in `characters`, the sorted distinct ones.

    The text is the first `length` characters of all topics in alphabetical order; the test part is its end. It differs
    a little from one Python to the next, so the digest says which text it was.
    """
    from pydoc_data.topics import topics

    text = "\n\n".join(topics[name] for name in sorted(topics))[:length]
    characters = sorted(set(text))
    places = {c: i for i, c in enumerate(characters)}
    ids = np.array([places[c] for c in text], np.int64)
    cut = round(len(ids) * (1 - test_share))
    return ids[:cut], ids[cut:], characters, hashlib.sha256(text.encode()).hexdigest()[:12]


class Windows(Dataset):
    """Every piece of `context` ids with the ids that follow each of them: two int64 [context]."""

    def __init__(self, ids, context):
        self.ids, self.context = ids, context

    def __len__(self):
        return len(self.ids) - self.context

    def __getitem__(self, i):
        return self.ids[i : i + self.context], self.ids[i + 1 : i + self.context + 1]
