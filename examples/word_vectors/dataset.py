"""Paragraphs of Python's language reference (`pydoc_data.topics`, in every Python), each with the topic it is from."""
import re
from collections import Counter

import numpy as np

PAD, UNKNOWN = 0, 1
WORD = re.compile(r"[a-z_]+")


def load(length=400_000, shortest=8, fewest=10, rarest=3):
    """(paragraphs, topics, names, words).

    paragraphs: lists of words, `shortest` or longer; topics: int64, place of each one's topic in `names`, of which only
    those with `fewest` paragraphs count. words: the vocabulary, what occurs `rarest` times or more.
    """
    from pydoc_data.topics import topics

    found, used = {}, 0
    for name in sorted(topics):
        text = topics[name][: length - used]
        used += len(text)
        parts = [WORD.findall(part.lower()) for part in re.split(r"\n\s*\n", text)]
        found[name] = list(dict.fromkeys(tuple(p) for p in parts if len(p) >= shortest))
    names = [name for name in found if len(found[name]) >= fewest]
    paragraphs = [list(s) for name in names for s in found[name]]
    places = np.array([i for i, name in enumerate(names) for _ in found[name]], np.int64)
    counts = Counter(word for s in paragraphs for word in s)
    return paragraphs, places, names, ["<pad>", "<unknown>", *sorted(w for w, n in counts.items() if n >= rarest)]


def as_ids(paragraphs, words, most=60):
    """int64 [n, most]: places in `words`, cut or padded with PAD."""
    places = {word: i for i, word in enumerate(words)}
    ids = np.full((len(paragraphs), most), PAD, np.int64)
    for row, paragraph in zip(ids, paragraphs, strict=True):
        row[: min(len(paragraph), most)] = [places.get(word, UNKNOWN) for word in paragraph[:most]]
    return ids


def pairs(topics, batch, steps, seed=0):
    """`steps` times two int64 [batch] of paragraph numbers: each pair is from one topic, each from another."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(topics == t) for t in np.unique(topics)]
    for _ in range(steps):
        chosen = rng.permutation(len(members))[:batch]
        both = np.stack([rng.choice(members[t], 2, replace=False) for t in chosen])
        yield both[:, 0], both[:, 1]
