"""The networks against Paddle 3.3.1: names, shapes and numbers (tests/golden/vision_cases.py)."""
import json
from pathlib import Path

import numpy as np
import pytest

import gpuflow
from gpuflow.vision import models
from tests.golden.vision_cases import MODELS, run

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vision.json").read_text())


@pytest.mark.parametrize("expression", MODELS)
def test_as_paddle(expression):
    found, expected = run(gpuflow, expression), GOLDEN[expression]
    assert found["count"] == expected["count"]
    assert found["keys"] == expected["keys"]
    if "out" in expected:
        assert found["shape"] == expected["shape"]
        size = np.abs(expected["out"]).max()
        np.testing.assert_allclose(found["out"], expected["out"], rtol=2e-3, atol=2e-4 * size)


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet50", "mobilenet_v1", "mobilenet_v3_small", "densenet121"])
def test_nothing_is_downloaded(name):
    with pytest.raises(ValueError, match=f"{name}: expected pretrained=False.*set_state_dict"):
        getattr(models, name)(pretrained=True)


def test_weights_come_from_a_file(tmp_path):
    first, second = models.LeNet(), models.LeNet()
    path = str(tmp_path / "lenet.pdparams")
    gpuflow.save(first.state_dict(), path)
    second.set_state_dict(gpuflow.load(path))
    x = gpuflow.randn([2, 1, 28, 28])
    np.testing.assert_array_equal(first(x).numpy(), second(x).numpy())


def test_a_training_step_and_a_program():
    model = models.mobilenet_v2(scale=0.25, num_classes=3)
    loss = model(gpuflow.randn([2, 3, 32, 32])).square().mean()
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    gpuflow.enable_static()
    main, startup = gpuflow.static.Program(), gpuflow.static.Program()
    with gpuflow.static.program_guard(main, startup):
        x = gpuflow.static.data("x", [None, 1, 28, 28])
        out = models.LeNet()(x)
    executor = gpuflow.static.Executor()
    executor.run(startup)
    result, = executor.run(main, feed={"x": np.zeros((3, 1, 28, 28), "float32")}, fetch_list=[out])
    assert result.shape == (3, 10)


def test_what_is_refused():
    with pytest.raises(ValueError, match="depth among"):
        models.ResNet(models.BasicBlock, 20)
    with pytest.raises(NotImplementedError, match="dilation=1"):
        models.BasicBlock(8, 8, dilation=2)
    with pytest.raises(ValueError, match="version among"):
        models.SqueezeNet("1.2")
    with pytest.raises(ValueError, match="layers among"):
        models.DenseNet(100)
    with pytest.raises(ValueError, match=r"scale among.*act among"):
        models.ShuffleNetV2(0.3)


def test_a_subclass_of_resnet_builds_its_layers():
    class Smaller(models.ResNet):
        def __init__(self):
            super().__init__(models.resnet.BottleneckBlock, 50, num_classes=3)
            self.inplanes = 64
            self.layer1 = self._make_layer(models.resnet.BottleneckBlock, 64, 1)
            self.layer2 = self._make_layer(models.resnet.BottleneckBlock, 128, 1, stride=2, dilate=True)
            self.layer3, self.layer4 = gpuflow.nn.Identity(), gpuflow.nn.Identity()
            self.fc = gpuflow.nn.Linear(self.inplanes, 3)

    net = Smaller()
    assert net.dilation == 2 and net.inplanes == 512
    assert net(gpuflow.ones([1, 3, 32, 32])).shape == [1, 3]
