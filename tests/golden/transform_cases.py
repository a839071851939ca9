"""Transforms of pictures: expressions over T (vision.transforms) and a picture p."""
import numpy as np

# expression: how far a level may be from what Paddle makes of a PIL image
CASES = {
    "T.adjust_brightness(p, 1.4)": 0, "T.adjust_brightness(p, 0.3)": 0, "T.adjust_contrast(p, 1.7)": 0,
    "T.adjust_contrast(p, 0.2)": 0, "T.adjust_saturation(p, 1.6)": 0, "T.adjust_saturation(p, 0.4)": 0,
    "T.adjust_hue(p, 0.3)": 12, "T.adjust_hue(p, -0.45)": 12,   # PIL rounds hues and saturations to 256 levels
    "T.to_grayscale(p)": 0, "T.to_grayscale(p, 3)": 0,
    "T.rotate(p, 90)": 0, "T.rotate(p, 30, fill=7)": 0, "T.rotate(p, -75, expand=True)": 0,
    "T.rotate(p, 20, 'bilinear', center=(3, 2), fill=(9, 5, 1))": 1, "T.rotate(p, 45, 'bilinear', True)": 1,
    "T.affine(p, 25, (2, -1), 1.3, (5, -8))": 0, "T.affine(p, -40, (0, 1), 0.7, 12.0, 'bilinear', 0, (4, 4))": 1,
    "T.perspective(p, [[0, 0], [8, 0], [8, 6], [0, 6]], [[1, 0], [7, 1], [8, 5], [0, 6]])": 0,
    "T.perspective(p, [[0, 0], [8, 0], [8, 6], [0, 6]], [[2, 1], [8, 0], [6, 6], [1, 5]], 'bilinear')": 1,
    "T.erase(p, 1, 2, 3, 4, np.array([[[3, 4, 5]]]))": 0,
}


def picture():
    """[7, 9, 3] uint8: slopes with a few spots."""
    y, x = np.mgrid[:7, :9]
    out = np.stack([30 * y + 5 * x, 220 - 20 * x, 25 * x], -1).astype("uint8")
    out[2, 3], out[5, 7] = (250, 10, 30), (0, 200, 90)
    return out
