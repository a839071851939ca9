"""Makes nn_utils.npz: run from this folder with paddlepaddle 3.3.1 installed, python make_nn_utils.py"""
import numpy as np
import paddle
from nn_utils_cases import results

np.savez_compressed("nn_utils.npz", **results(paddle))
