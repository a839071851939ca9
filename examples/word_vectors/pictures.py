"""The picture of this example: how well paragraphs find their topic, and how far training moved some words."""
import numpy as np


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")  # files only, no window
    from matplotlib import pyplot

    return pyplot


def towers(histories, freed, words, before, after, path):
    """histories: label -> [(step, accuracy)]; freed: the step from which the words learned. words: those to show, with
    their vectors before and after, [len(words), size] each."""
    plt = _pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(14, 5.5), layout="constrained")
    for label, points in histories.items():
        left.plot(*zip(*points), marker="o", markersize=3, label=label)
    left.axvline(freed, linestyle=":", color="grey")
    left.text(freed, left.get_ylim()[0], " vectors learn", color="grey", va="bottom")
    left.set_title("test paragraphs nearest to their own topic")
    left.set_xlabel("step")
    left.legend()

    before, after = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (before, after))
    centre = before.mean(axis=0)
    plane = np.linalg.svd(before - centre, full_matrices=False)[2][:2].T
    start, way = (before - centre) @ plane, (after - before) @ plane * 5
    right.quiver(*start.T, *way.T, angles="xy", scale_units="xy", scale=1, width=0.002, color="tab:orange")
    right.scatter(*start.T, s=8)
    for word, place in zip(words, start, strict=True):
        right.annotate(word, place, fontsize=8)
    right.set_title("words in their main plane; arrows: fine-tuning, 5 times")
    figure.savefig(path, dpi=110)
    plt.close(figure)
