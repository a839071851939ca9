"""Makes average.npz: run from this folder with paddlepaddle 3.3.1 installed, python make_average.py"""
import numpy as np
import paddle
from average_cases import results

np.savez_compressed("average.npz", **results(paddle))
