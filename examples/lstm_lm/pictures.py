"""The two pictures of this example: how training went, and what the cells hold while a text is read."""
import numpy as np


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")  # files only, no window
    from matplotlib import pyplot

    return pyplot


def curves(history, path):
    """history: {"loss", "norm": a number per step; "step", "test": one per epoch, test being a perplexity}."""
    plt = _pyplot()
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    axes[0].plot(range(1, len(history["loss"]) + 1), np.exp(history["loss"]), linewidth=0.6,
                 label="training text, with dropout")
    axes[0].plot(history["step"], history["test"], marker="o", markersize=3, label="test text")
    axes[0].set_yscale("log")
    axes[0].set_title("perplexity")
    axes[0].legend()
    axes[1].plot(range(1, len(history["norm"]) + 1), history["norm"], linewidth=0.8)
    axes[1].set_title("gradient norm before the clip")
    for axis in axes:
        axis.set_xlabel("step")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def cells(words, states, path, most=40):
    """states [len(words), width]: the cells after each word. Shows the `most` that move most, by their last value."""
    plt = _pyplot()
    chosen = np.argsort(states.std(axis=0))[-most:]
    chosen = chosen[np.argsort(states[-1, chosen])]
    figure, axis = plt.subplots(figsize=(max(6, 0.28 * len(words)), 7), layout="constrained")
    image = axis.imshow(np.tanh(states[:, chosen]).T, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    axis.set_xticks(range(len(words)), [w.replace("$", r"\$") for w in words], rotation=90, fontsize=8)
    axis.set_ylabel("cells of the LSTM")
    axis.set_title("tanh of the cells after each word of a text it has not seen")
    figure.colorbar(image, ax=axis, shrink=0.5)
    figure.savefig(path, dpi=110)
    plt.close(figure)
