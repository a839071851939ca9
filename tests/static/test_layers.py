"""Layers and functions of `nn` build into a Program with an unknown batch, and give what they give in eager mode: the
result, the gradients of their inputs, and the parameters after a step."""
import numpy as np
import pytest

import gpuflow as paddle
from gpuflow import nn, static

F = nn.functional
N = None
IDS = "int64"


def ids(*shape, below=4):
    """Marks an input of integers below `below`."""
    return IDS, below, shape


# name: (what makes the layer or function, shapes of its inputs)
LAYERS = {
    **{name: (getattr(nn, name), [(N, 6)]) for name in (
        "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid",
        "LogSoftmax", "Mish", "PReLU", "ReLU", "ReLU6", "SELU", "Silu", "Sigmoid", "Softmax", "Softplus", "Softshrink",
        "Softsign", "Swish", "Tanh", "Tanhshrink", "ThresholdedReLU", "Identity", "Flatten")},
    **{name: (getattr(nn, name), [(N, 3), (N, 3)]) for name in (
        "CosineSimilarity", "PairwiseDistance", "L1Loss", "MSELoss", "SmoothL1Loss", "KLDivLoss", "PoissonNLLLoss",
        "SoftMarginLoss", "MultiLabelSoftMarginLoss", "HingeEmbeddingLoss", "BCEWithLogitsLoss")},
    "Maxout": (lambda: nn.Maxout(2), [(N, 4, 3, 3)]),
    "Softmax2D": (nn.Softmax2D, [(N, 3, 2, 2)]),
    "Linear": (lambda: nn.Linear(6, 3), [(N, 4, 6)]),
    "Bilinear": (lambda: nn.Bilinear(3, 4, 2), [(N, 3), (N, 4)]),
    "Embedding": (lambda: nn.Embedding(4, 3), [ids(N, 5)]),
    "Embedding, sparse": (lambda: nn.Embedding(4, 3, sparse=True), [ids(N, 5)]),
    "Embedding, padding": (lambda: lambda i, w: F.embedding(i, w, padding_idx=1), [ids(N, 5), (4, 3)]),
    "Dropout, eval": (lambda: nn.Dropout(0.5).eval(), [(N, 6)]),
    "CrossEntropyLoss": (nn.CrossEntropyLoss, [(N, 4), ids(N)]),
    "CrossEntropyLoss, weights": (lambda: nn.CrossEntropyLoss(paddle.to_tensor([1., 2., 3., 4.])), [(N, 4), ids(N)]),
    "NLLLoss": (nn.NLLLoss, [(N, 4), ids(N)]),
    "MultiMarginLoss": (nn.MultiMarginLoss, [(N, 4), ids(N)]),
    "MarginRankingLoss": (nn.MarginRankingLoss, [(N, 1), (N, 1), (N, 1)]),
    "TripletMarginLoss": (nn.TripletMarginLoss, [(N, 3)] * 3),
    "GaussianNLLLoss": (lambda: lambda x, y, v: F.gaussian_nll_loss(x, y, v * v + 1.0), [(N, 3)] * 3),
    "CosineEmbeddingLoss": (lambda: lambda x, y, s: F.cosine_embedding_loss(x, y, s * 2 - 1),
                            [(N, 3), (N, 3), ids(N, below=2)]),
    "Conv1D": (lambda: nn.Conv1D(3, 4, 3, padding=1), [(N, 3, 7)]),
    "Conv2D": (lambda: nn.Conv2D(3, 4, 3, stride=2), [(N, 3, N, N)]),
    "Conv2D, groups": (lambda: nn.Conv2D(4, 4, 3, groups=2, padding="SAME"), [(N, 4, 6, 6)]),
    "Conv3D": (lambda: nn.Conv3D(2, 3, 2), [(N, 2, 4, 4, 4)]),
    "Conv1DTranspose": (lambda: nn.Conv1DTranspose(3, 2, 3), [(N, 3, 5)]),
    "Conv2DTranspose": (lambda: nn.Conv2DTranspose(3, 2, 3, stride=2), [(N, 3, 4, 5)]),
    "Conv3DTranspose": (lambda: nn.Conv3DTranspose(2, 2, 2), [(N, 2, 3, 3, 3)]),
    **{name: (lambda name=name: getattr(nn, name)(2, 2), [(N, 3) + (6,) * int(name[-2])]) for name in (
        "MaxPool1D", "MaxPool2D", "MaxPool3D", "AvgPool1D", "AvgPool2D", "AvgPool3D")},
    **{name: (lambda name=name: getattr(nn, name)(2), [(N, 3) + (6,) * int(name[-2])]) for name in (
        "AdaptiveAvgPool1D", "AdaptiveAvgPool2D", "AdaptiveAvgPool3D", "AdaptiveMaxPool1D", "AdaptiveMaxPool2D")},
    "MaxPool2D, unknown sizes": (lambda: nn.MaxPool2D(2, 2), [(N, 3, N, N)]),
    "LPPool2D": (lambda: nn.LPPool2D(2.0, 2), [(N, 3, 6, 6)]),
    "MaxUnPool2D": (lambda: lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, 2, return_mask=True), 2, 2), [(N, 3, 6, 6)]),
    "BatchNorm1D": (lambda: nn.BatchNorm1D(6), [(N, 6)]),
    "BatchNorm2D": (lambda: nn.BatchNorm2D(3), [(N, 3, N, 4)]),
    "BatchNorm2D, frozen": (lambda: nn.BatchNorm2D(3, use_global_stats=True), [(N, 3, 4, 4)]),
    "LayerNorm": (lambda: nn.LayerNorm(6), [(N, N, 6)]),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), [(N, 4, 3, N)]),
    "InstanceNorm1D": (lambda: nn.InstanceNorm1D(3), [(N, 3, 5)]),
    "InstanceNorm2D": (lambda: nn.InstanceNorm2D(3), [(N, 3, 5, N)]),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3), [(N, 4, 3, 3)]),
    "rms_norm": (lambda: lambda x, w: F.rms_norm(x, [6], w)[0], [(N, 3, 6), (6,)]),
    "normalize": (lambda: F.normalize, [(N, 6)]),
    "Pad1D": (lambda: nn.Pad1D([1, 2]), [(N, 3, 5)]),
    "Pad2D, reflect": (lambda: nn.Pad2D([1, 2, 1, 1], mode="reflect"), [(N, N, 5, 4)]),
    "Pad2D, circular": (lambda: nn.CircularPad2D(1), [(N, 3, 5, 5)]),
    "Pad3D, replicate": (lambda: nn.ReplicationPad3D(1), [(N, 2, 3, 3, 3)]),
    "Unflatten": (lambda: nn.Unflatten(1, [2, 3]), [(N, 6)]),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), [(N, 4, 3, N)]),
    "PixelUnshuffle": (lambda: nn.PixelUnshuffle(2), [(N, 2, 4, 4)]),
    "ChannelShuffle": (lambda: nn.ChannelShuffle(2), [(N, 4, 3, 3)]),
    "Unfold": (lambda: nn.Unfold(2), [(N, 3, 5, 5)]),
    "Fold": (lambda: nn.Fold([4, 4], 2, strides=2), [(N, 12, 4)]),
    "Upsample, nearest": (lambda: nn.Upsample(scale_factor=2), [(N, 3, 4, 4)]),
    "Upsample, bilinear": (lambda: nn.Upsample([6, 7], mode="bilinear"), [(N, 3, 4, 4)]),
    "grid_sample": (lambda: lambda x, t: F.grid_sample(x, F.affine_grid(t, [2, 3, 4, 4])), [(2, 3, 4, 4), (2, 2, 3)]),
    "SimpleRNN": (lambda: _first(nn.SimpleRNN(4, 3)), [(N, 5, 4)]),
    "LSTM": (lambda: _first(nn.LSTM(4, 3, num_layers=2)), [(N, N, 4)]),
    "GRU": (lambda: _first(nn.GRU(4, 3, direction="bidirect")), [(N, 5, 4)]),
    "GRUCell": (lambda: _first(nn.GRUCell(4, 3)), [(N, 4)]),
    "MultiHeadAttention": (lambda: nn.MultiHeadAttention(8, 2), [(N, N, 8)]),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0), [(N, N, 8)]),
    "TransformerDecoderLayer": (lambda: nn.TransformerDecoderLayer(8, 2, 16, dropout=0.0), [(N, 3, 8), (N, 5, 8)]),
    "swiglu": (lambda: F.swiglu, [(N, 6)]),
    "label_smooth": (lambda: F.label_smooth, [(N, 4)]),
    "one_hot": (lambda: lambda i, x: F.one_hot(i, 4) * x, [ids(N), (N, 4)]),
    "sigmoid_focal_loss": (lambda: lambda x, y: F.sigmoid_focal_loss(x, y.cast("float32")),
                           [(N, 3), ids(N, 3, below=2)]),
    "dice_loss": (lambda: lambda x, y: F.dice_loss(F.softmax(x), y), [(N, 4), ids(N, 1)]),
    "log_loss": (lambda: lambda x, y: F.log_loss(F.sigmoid(x), y.cast("float32")), [(N, 1), ids(N, 1, below=2)]),
    "square_error_cost": (lambda: F.square_error_cost, [(N, 3), (N, 3)]),
    "softmax_with_cross_entropy": (lambda: F.softmax_with_cross_entropy, [(N, 4), ids(N, 1)]),
    "temporal_shift": (lambda: lambda x: F.temporal_shift(x, 2), [(N, 4, 3, 3)]),
    "sequence_mask": (lambda: lambda i, x: F.sequence_mask(i, 5, "float32") * x, [ids(N), (N, 5)]),
    "scaled_dot_product_attention": (lambda: lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
                                     [(N, N, 2, 4)]),
}


def _first(layer):
    """The layer without the states that it gives beside its result."""
    class First(nn.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layer

        def forward(self, *inputs):
            return self.inner(*inputs)[0]
    return First()


def arrays(shapes, rows=4):
    rng = np.random.default_rng(5)
    for shape in shapes:
        if shape[0] == IDS:
            _, below, shape = shape
            yield rng.integers(0, below, [rows if s is None else s for s in shape])
        else:
            yield rng.standard_normal([rows if s is None else s for s in shape]).astype("float32")


@pytest.mark.parametrize("name", LAYERS)
def test_a_program_gives_what_eager_mode_gives(name):
    make, shapes = LAYERS[name]
    given = list(arrays(shapes))
    found = []
    for building in (True, False):
        (paddle.enable_static if building else paddle.disable_static)()
        paddle.seed(11)
        with paddle.utils.unique_name.guard():
            layer = make()
        params = layer.parameters() if isinstance(layer, nn.Layer) else []
        if building:
            inputs = [static.data(f"x{k}", s[2] if s[0] == IDS else s, IDS if s[0] == IDS else "float32")
                      for k, s in enumerate(shapes)]
            for x in inputs:
                x.stop_gradient = x.dtype == paddle.int64
            out = layer(*inputs)
            loss = (out * out).sum()
            smooth = [x for x in inputs if not x.stop_gradient]
            grads = [g for g in (static.gradients(loss, smooth) if smooth else []) if g is not None]
            if params:
                paddle.optimizer.SGD(0.1).minimize(loss)
            exe = static.Executor()
            exe.run(static.default_startup_program())
            results = exe.run(feed={x.name: a for x, a in zip(inputs, given)}, fetch_list=[out, *grads])
            known = [s for s in out.shape]
        else:
            inputs = [paddle.to_tensor(a, stop_gradient=a.dtype == np.int64) for a in given]
            out = layer(*inputs)
            loss = (out * out).sum()
            loss.backward()
            results = [out.numpy(), *(x.grad.numpy() for x in inputs if x.grad is not None)]
            if params:
                paddle.optimizer.SGD(0.1, parameters=params).step()
        found.append([*results, *(p.numpy() for p in params)])
    assert [s if t == -1 else t for s, t in zip(found[0][0].shape, known, strict=True)] == list(found[0][0].shape)
    for built, direct in zip(*found, strict=True):
        np.testing.assert_allclose(built, direct, rtol=1e-6, atol=1e-6)
    paddle.enable_static()
