"""Word vectors from counts: which words stand near which (Levy and Goldberg 2014), written in GloVe's format."""
import numpy as np


def vectors(paragraphs, words, size=64, window=4):
    """float32 [len(words), size]: the leading part of the positive mutual information of neighbouring words."""
    places = {word: i for i, word in enumerate(words)}
    counts = np.zeros((len(words), len(words)))
    for paragraph in paragraphs:
        ids = [places[w] for w in paragraph if w in places]
        for k, i in enumerate(ids):
            for distance, j in enumerate(ids[k + 1 : k + 1 + window], 1):
                counts[i, j] += 1 / distance
                counts[j, i] += 1 / distance
    alone = counts.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.log(counts * alone.sum() / np.outer(alone, alone**0.75 * alone.sum() ** 0.25))
    values, directions = np.linalg.eigh(np.maximum(np.nan_to_num(information, nan=0.0, neginf=0.0), 0))
    table = directions[:, -size:] * np.sqrt(np.abs(values[-size:]))
    return (table / table.std()).astype(np.float32)


def write(path, paragraphs, words, size=64):
    """One line per word that has neighbours: the word and its numbers."""
    table = vectors(paragraphs, words, size)
    with open(path, "w", encoding="utf-8") as file:
        for word, row in zip(words, table, strict=True):
            if row.any() and not word.startswith("<"):
                file.write(word + " " + " ".join(f"{x:.5g}" for x in row) + "\n")
