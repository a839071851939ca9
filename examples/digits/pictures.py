"""The two pictures of the demo: how training went, and which digits were read wrongly."""


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")  # files only, no window
    from matplotlib import pyplot

    return pyplot


def curves(history, path):
    """history: {"loss", "norm", "rate": one number per step; "epoch_step", "train", "test": one per epoch}."""
    plt = _pyplot()
    figure, axes = plt.subplots(2, 2, figsize=(10, 6), sharex=True, layout="constrained")
    steps = range(1, len(history["loss"]) + 1)
    panels = [(axes[0, 0], "loss", "training loss"), (axes[1, 0], "norm", "gradient norm before the clip"),
              (axes[1, 1], "rate", "learning rate")]
    for axis, key, title in panels:
        axis.plot(steps, history[key], linewidth=0.8)
        axis.set_title(title)
    axes[0, 0].set_yscale("log")
    axes[0, 1].plot(history["epoch_step"], history["train"], label="training images")
    axes[0, 1].plot(history["epoch_step"], history["test"], label="test images")
    axes[0, 1].set_title("accuracy per epoch")
    axes[0, 1].set_ylim(0.8, 1.005)
    axes[0, 1].legend()
    for axis in axes[1]:
        axis.set_xlabel("step")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def misread(images, labels, read, path, most=16):
    """The first `most` images whose label differs from what was read, each with both."""
    plt = _pyplot()
    wrong = [i for i in range(len(labels)) if labels[i] != read[i]][:most]
    columns = min(8, max(len(wrong), 1))
    rows = -(-max(len(wrong), 1) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(1.5 * columns + 1, 1.9 * rows), squeeze=False,
                                layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, i in zip(axes.flat, wrong, strict=False):
        axis.imshow(images[i, 0], cmap="gray_r")
        axis.set_title(f"{labels[i]} read as {read[i]}", fontsize=9)
    if not wrong:
        axes[0, 0].text(0.5, 0.5, "every test digit was read rightly", ha="center")
    figure.savefig(path, dpi=120)
    plt.close(figure)
