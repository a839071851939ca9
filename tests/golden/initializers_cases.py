"""Initializers to compare with Paddle 3.3.1, and models whose names, keys and texts must be Paddle's.

FIXED: no chance, equal numbers. DRAWN: equal statistics. GAINS: arguments of calculate_gain. MODELS: name -> builder.
"""
import numpy as np

FIXED = {
    "constant": (lambda I: I.Constant(1.5), [2, 3]),
    "assign list": (lambda I: I.Assign([[1, 2], [3, 4]]), [2, 2]),
    "assign float64": (lambda I: I.Assign(np.linspace(0, 1, 6).reshape(2, 3)), [2, 3]),
    "bilinear 3": (lambda I: I.Bilinear(), [2, 1, 3, 3]),
    "bilinear 4": (lambda I: I.Bilinear(), [1, 2, 4, 4]),
    "dirac 3": (lambda I: I.Dirac(), [3, 2, 3]),
    "dirac 4 groups": (lambda I: I.Dirac(2), [4, 3, 2, 3]),
    "dirac 5": (lambda I: I.Dirac(groups=3), [6, 1, 3, 2, 1]),
    "uniform empty": (lambda I: I.Uniform(0.5, 0.5), [3]),
}
DRAWN = {
    "normal": (lambda I: I.Normal(1.0, 2.0), [300, 400]),
    "truncated": (lambda I: I.TruncatedNormal(0.5, 2.0), [300, 400]),
    "truncated narrow": (lambda I: I.TruncatedNormal(0.0, 1.0, 1.0, 1.5), [300, 400]),
    "uniform": (lambda I: I.Uniform(-0.2, 0.5), [300, 400]),
    **{f"{name} {'x'.join(map(str, shape))}": (lambda I, name=name: getattr(I, name)(), shape)
       for name in ("XavierNormal", "XavierUniform", "KaimingNormal", "KaimingUniform")
       for shape in ([200, 500], [100000], [64, 32, 5, 5])},
    "xavier fans": (lambda I: I.XavierUniform(fan_in=10, fan_out=30, gain=2.0), [300, 400]),
    "kaiming fan_out": (lambda I: I.KaimingNormal(mode="fan_out"), [200, 500]),
    "kaiming leaky": (lambda I: I.KaimingUniform(negative_slope=0.3, nonlinearity="leaky_relu"), [200, 500]),
    "kaiming fan_in": (lambda I: I.KaimingNormal(fan_in=50, nonlinearity="tanh"), [200, 500]),
    "orthogonal": (lambda I: I.Orthogonal(2.0), [50, 80]),
}
GAINS = [("sigmoid", None), ("linear", None), ("conv2d", None), ("conv3d_transpose", None), ("conv_transpose1d", None),
         ("tanh", None), ("relu", None), ("leaky_relu", None), ("leaky_relu", 0.3), ("selu", None)]

MODELS = {
    "linear": lambda nn: nn.Linear(3, 4),
    "linear without bias": lambda nn: nn.Linear(3, 4, bias_attr=False),
    "linear named": lambda nn: nn.Linear(3, 4, name="fc"),
    "bilinear": lambda nn: nn.Bilinear(2, 3, 4),
    "embedding": lambda nn: nn.Embedding(5, 3, padding_idx=2, sparse=True),
    "sequential": lambda nn: nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Sequential(nn.Dropout(0.3), nn.Flatten())),
    "sequential named": lambda nn: nn.Sequential(("a", nn.Linear(2, 3)), ("b", nn.PReLU())),
    "list": lambda nn: nn.LayerList([nn.Linear(1, 2), nn.LayerDict({"x": nn.Embedding(2, 2), "y": nn.Tanh()})]),
    "activations": lambda nn: nn.Sequential(*[getattr(nn, name)() for name in (
        "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid",
        "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "Sigmoid", "Silu", "Softmax", "Softmax2D",
        "Softplus", "Softshrink", "Softsign", "Swish", "Tanh", "Tanhshrink", "ThresholdedReLU")]),
    "maxout": lambda nn: nn.Maxout(2, name="m"),
    "losses": lambda nn: nn.LayerList([getattr(nn, name)() for name in (
        "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "KLDivLoss", "L1Loss", "MSELoss", "MarginRankingLoss",
        "NLLLoss", "SmoothL1Loss")]),
    "common": lambda nn: nn.LayerList([
        nn.Dropout(), nn.Dropout2D(0.2), nn.Dropout3D(0.2), nn.AlphaDropout(0.1), nn.Identity(3), nn.Flatten(),
        nn.Unflatten(1, [2, 3]), nn.Pad1D(1), nn.Pad2D([1, 2, 3, 4], mode="reflect"), nn.Pad3D(1, value=2.0),
        nn.ZeroPad2D(2), nn.CosineSimilarity(), nn.PairwiseDistance(p=1.0, keepdim=True)]),
}


def described(nn, unique_name, build) -> dict:
    """What people see of a model: names, keys, repr."""
    with unique_name.guard():
        model = build(nn)
    return {"repr": repr(model), "keys": list(model.state_dict()), "full names": [
        layer.full_name() for layer in model.sublayers(include_self=True)],
        "parameters": [[name, p.name, list(p.shape)] for name, p in model.named_parameters()]}
