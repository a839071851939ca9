"""Networks of Paddle and of gpuflow alike: names and shapes of parameters, and what they make of a picture."""
import hashlib

import numpy as np

# expression: the shape of a picture to run it on, or None where names are enough
MODELS = {
    "LeNet()": (2, 1, 28, 28), "LeNet(num_classes=0)": None, "alexnet(num_classes=0)": (1, 3, 96, 96),
    "vgg11(num_classes=0, batch_norm=True)": (1, 3, 32, 32), "vgg13(num_classes=0)": None,
    "vgg16(num_classes=0)": None, "vgg19(num_classes=0, with_pool=False)": None,
    "resnet18(num_classes=7)": (1, 3, 64, 64), "resnet34()": None, "resnet50(num_classes=5)": (1, 3, 32, 32),
    "resnext50_32x4d(with_pool=False, num_classes=0)": (1, 3, 32, 32), "wide_resnet50_2(num_classes=4)": None,
    "mobilenet_v1(scale=0.25, num_classes=6)": (1, 3, 64, 64),
    "mobilenet_v2(scale=0.35, num_classes=6)": (1, 3, 64, 64), "mobilenet_v2()": None,
    "mobilenet_v3_small(scale=0.5, num_classes=5)": (1, 3, 64, 64), "mobilenet_v3_large()": None,
    "mobilenet_v3_large(scale=0.5, num_classes=0, with_pool=False)": (1, 3, 64, 64),
    "squeezenet1_0(num_classes=4)": (1, 3, 64, 64), "squeezenet1_1(num_classes=4, with_pool=False)": (1, 3, 64, 64),
    "densenet121(num_classes=3)": (1, 3, 64, 64), "densenet161()": None, "densenet169()": None, "densenet201()": None,
    "densenet264()": None, "shufflenet_v2_x0_25(num_classes=3)": (1, 3, 64, 64),
    "shufflenet_v2_swish(num_classes=0)": (1, 3, 64, 64), "shufflenet_v2_x0_33()": None, "shufflenet_v2_x0_5()": None,
    "shufflenet_v2_x1_0()": None, "shufflenet_v2_x1_5()": None, "shufflenet_v2_x2_0()": None,
    "googlenet(num_classes=3)": (1, 3, 224, 224), "inception_v3(num_classes=3)": (1, 3, 107, 107),
}


def run(paddle, expression) -> dict:
    """{"keys": a digest of names and shapes, "count": how many, "out": numbers of the result in evaluation}."""
    model = eval(f"models.{expression}", {"models": paddle.vision.models})
    state = model.state_dict()
    text = ";".join(f"{name}:{list(value.shape)}" for name, value in state.items())
    found = {"keys": hashlib.sha256(text.encode()).hexdigest(), "count": len(state)}
    shape = MODELS[expression]
    if shape is not None:
        rng = np.random.default_rng(9)
        for name in sorted(state):
            value = rng.standard_normal(tuple(state[name].shape)).astype("float32")
            fan = max(1, int(np.prod(value.shape[1:])))
            value = np.abs(value) * 0.1 + 0.9 if value.ndim == 1 else value * np.float32(np.sqrt(2 / fan))
            state[name].set_value(value)
        model.eval()
        out = model(paddle.to_tensor(rng.standard_normal(shape).astype("float32")))
        out = (paddle.concat(out, axis=1) if isinstance(out, tuple) else out).numpy()
        found["shape"], found["out"] = list(out.shape), out.reshape(-1)[:: max(1, out.size // 8)].tolist()
    return found
