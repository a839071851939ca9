"""Words of Python's language reference (`pydoc_data.topics`, in every Python), as streams that an LSTM reads along."""
import hashlib
import re
from collections import Counter

import numpy as np

UNKNOWN, END = 0, 1   # ids of a word too rare to learn, and of the full stop


def load(length=400_000, test_share=0.1, rarest=2):
    """(training ids, test ids, words, digest): int64 places in `words`, which holds what occurs `rarest` times or more.

    The text is the first `length` characters of all topics in alphabetical order, in lower case, cut into words,
    numbers and signs; the test part is its end. It differs a little from one Python to the next: the digest tells.
    """
    from pydoc_data.topics import topics

    text = "\n\n".join(topics[name] for name in sorted(topics))[:length]
    tokens = re.findall(r"[a-z_]+|\d+|[^\sa-z_\d*=+|~^-]", text.lower())   # without the signs that draw lines
    cut = round(len(tokens) * (1 - test_share))
    counts = Counter(tokens[:cut])
    words = ["<unknown>", ".", *sorted(w for w, n in counts.items() if n >= rarest and w != ".")]
    places = {word: i for i, word in enumerate(words)}
    ids = np.array([places.get(t, UNKNOWN) for t in tokens], np.int64)
    return ids[:cut], ids[cut:], words, hashlib.sha256(text.encode()).hexdigest()[:12]


def pieces(ids, batch, length):
    """[(ids [batch, length], those that follow them), ...]: `batch` streams, cut so that a piece goes on where the one
    before ended. The state of an LSTM can go with them."""
    per_stream = (len(ids) - 1) // batch // length * length
    here, following = (ids[k : k + batch * per_stream].reshape(batch, per_stream) for k in (0, 1))
    return [(here[:, i : i + length], following[:, i : i + length]) for i in range(0, per_stream, length)]
