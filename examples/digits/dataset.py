"""scikit-learn's handwritten digits: 1797 images of 8 x 8 grey pixels, written by 43 people. Nothing is downloaded."""
import numpy as np

from gpuflow.io import Dataset


def load(test_share=0.2, seed=0):
    """((train images, labels), (test images, labels)): float32 [n, 1, 8, 8] in 0..1 and int64 [n].

    The split is drawn per digit, so that every digit has the same share in the test set.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images / 16.0).astype(np.float32)[:, None]
    labels = digits.target.astype(np.int64)
    rng = np.random.default_rng(seed)
    test = np.zeros(len(labels), bool)
    for digit in range(10):
        places = rng.permutation(np.flatnonzero(labels == digit))
        test[places[: round(test_share * len(places))]] = True
    return (images[~test], labels[~test]), (images[test], labels[test])


class Digits(Dataset):
    """Images with labels. A `share` of the images moves by up to a pixel each way, drawn anew at every look."""

    def __init__(self, images, labels, share=0.0, seed=0):
        self.labels, self.share = labels, share
        self.padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
        self.rng = np.random.default_rng(seed)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        down, right = self.rng.integers(0, 3, 2) if self.rng.random() < self.share else (1, 1)
        return self.padded[i, :, down : down + 8, right : right + 8], self.labels[i]
