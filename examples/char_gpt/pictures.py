"""The two pictures of this example: how training went, and which characters of a new text surprised the model."""


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")  # files only, no window
    from matplotlib import pyplot

    return pyplot


def curves(history, path):
    """history: {"loss", "norm", "rate": a number per step; "step", "test": one per evaluation}. Losses in bits."""
    plt = _pyplot()
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    steps = range(1, len(history["loss"]) + 1)
    axes[0].plot(steps, history["loss"], linewidth=0.6, label="training text, with dropout")
    axes[0].plot(history["step"], history["test"], marker="o", markersize=3, label="test text")
    axes[0].set_title("bits per character")
    axes[0].legend()
    for axis, key, title in ((axes[1], "norm", "gradient norm before the clip"), (axes[2], "rate", "learning rate")):
        axis.plot(steps, history[key], linewidth=0.8)
        axis.set_title(title)
    for axis in axes:
        axis.set_xlabel("step")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def surprise(text, bits, path, columns=80, most=8.0):
    """The text, each character on a ground that is the darker the more bits it took to say it."""
    plt = _pyplot()
    lines, line = [], []
    for character, cost in zip(text, bits, strict=True):
        if character == "\n" or len(line) == columns:
            lines.append(line)
            line = []
        if character != "\n":
            line.append((character, cost))
    lines.append(line)
    figure, axis = plt.subplots(figsize=(columns * 0.115, len(lines) * 0.21 + 0.8), layout="constrained")
    shades = plt.get_cmap("OrRd")
    for y, row in enumerate(lines):
        for x, (character, cost) in enumerate(row):
            axis.add_patch(plt.Rectangle((x, y), 1, 1, color=shades(min(cost, most) / most * 0.8)))
            if character != "$":   # a sign that matplotlib would read as the start of a formula
                axis.text(x + 0.5, y + 0.5, character, family="monospace", fontsize=8, ha="center", va="center")
    axis.set_xlim(0, columns)
    axis.set_ylim(len(lines), 0)
    axis.set_axis_off()
    axis.set_title(f"bits per character of a text it has not seen: pale 0, red {most:.0f} and more")
    figure.savefig(path, dpi=110)
    plt.close(figure)
