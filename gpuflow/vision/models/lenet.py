"""LeNet (LeCun et al., 1998)."""
from gpuflow import nn
from gpuflow.vision.models.parts import Classifier


class LeNet(Classifier):
    """Digits [N, 1, 28, 28] to scores [N, num_classes]; num_classes 0: the features before the linear layers."""

    def __init__(self, num_classes=10):
        super().__init__(num_classes, with_pool=False)
        self.features = nn.Sequential(
            nn.Conv2D(1, 6, 3, stride=1, padding=1), nn.ReLU(), nn.MaxPool2D(2, 2),
            nn.Conv2D(6, 16, 5, stride=1, padding=0), nn.ReLU(), nn.MaxPool2D(2, 2))
        if num_classes > 0:
            self.fc = nn.Sequential(nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, num_classes))

    def _features(self, x):
        return self.features(x)

    def _classify(self, x):
        return self.fc(x)
