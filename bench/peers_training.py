"""Training steps of four networks beside torch's: an MLP, a LeNet, a small GPT and an LSTM language model.

    python -m bench.peers_training [--torch-python P] [--threads 2] [--rounds 9] [--cases MLP]

The same layers, batches, optimizer (AdamW) and clip by global norm on both sides: forward, loss, backward, clip,
update. torch runs its fused AdamW.
"""
from bench.harness import beside_torch, torch_training

CASES = {"MLP 784-512-512-10, batch 128": ("mlp",), "LeNet 28x28, batch 128": ("lenet",),
         "GPT of 4 layers, d 256, 128 characters, batch 16": ("gpt",),
         "LSTM language model, hidden 256, 64 words, batch 32": ("lstm",)}
WORDS, CHARACTERS = 2000, 100


def batch(name):
    """(inputs, labels) as NumPy arrays."""
    import numpy as np

    rng = np.random.default_rng(0)
    if name in ("mlp", "lenet"):
        shape = (128, 784) if name == "mlp" else (128, 1, 28, 28)
        return rng.standard_normal(shape, dtype=np.float32), rng.integers(0, 10, 128)
    rows, length, kinds = (16, 128, CHARACTERS) if name == "gpt" else (32, 64, WORDS)
    ids = rng.integers(0, kinds, (rows, length + 1))
    return ids[:, :-1].copy(), ids[:, 1:].copy()


def gpuflow_model(name):
    """(model, loss of (model, inputs, labels))."""
    from gpuflow import nn

    if name == "mlp":
        model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    elif name == "lenet":
        model = nn.Sequential(nn.Conv2D(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2D(2), nn.Conv2D(6, 16, 5), nn.ReLU(),
                              nn.MaxPool2D(2), nn.Flatten(), nn.Linear(400, 120), nn.Linear(120, 84),
                              nn.Linear(84, 10))
    else:
        model = _sequence_model(name)
    return model, lambda x, y: nn.functional.cross_entropy(model(x), y)


def _sequence_model(name):
    import gpuflow as paddle
    from gpuflow import nn

    class GPT(nn.Layer):
        def __init__(self):
            super().__init__()
            self.characters, self.places = nn.Embedding(CHARACTERS, 256), nn.Embedding(128, 256)
            block = nn.TransformerEncoderLayer(256, 4, 1024, 0.1, "gelu", normalize_before=True)
            self.blocks, self.head = nn.TransformerEncoder(block, 4, nn.LayerNorm(256)), nn.Linear(256, CHARACTERS)
            self.register_buffer("past", paddle.tril(paddle.ones([128, 128], "bool")), persistable=False)

        def forward(self, ids):
            x = self.characters(ids) + self.places(paddle.arange(128))
            return self.head(self.blocks(x, self.past))

    class Words(nn.Layer):
        def __init__(self):
            super().__init__()
            self.table, self.lstm, self.head = nn.Embedding(WORDS, 256), nn.LSTM(256, 256), nn.Linear(256, WORDS)

        def forward(self, ids):
            return self.head(self.lstm(self.table(ids))[0])

    return GPT() if name == "gpt" else Words()


def gpuflow_step(name):
    import gpuflow as paddle
    from gpuflow import nn

    model, lose = gpuflow_model(name)
    optimizer = paddle.optimizer.AdamW(1e-3, parameters=model.parameters(), grad_clip=nn.ClipGradByGlobalNorm(1.0))
    inputs, labels = map(paddle.to_tensor, batch(name))

    def step():
        lose(inputs, labels).backward()
        optimizer.step()
        optimizer.clear_grad()

    return step


def torch_step(name):
    import torch
    from torch import nn

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.characters, self.places = nn.Embedding(CHARACTERS, 256), nn.Embedding(128, 256)
            block = nn.TransformerEncoderLayer(256, 4, 1024, 0.1, "gelu", batch_first=True, norm_first=True)
            self.blocks = nn.TransformerEncoder(block, 4, nn.LayerNorm(256), enable_nested_tensor=False)
            self.head = nn.Linear(256, CHARACTERS)
            self.register_buffer("past", nn.Transformer.generate_square_subsequent_mask(128))

        def forward(self, ids):
            return self.head(self.blocks(self.characters(ids) + self.places.weight, self.past, is_causal=True))

    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(WORDS, 256), nn.Linear(256, WORDS)
            self.lstm = nn.LSTM(256, 256, batch_first=True)

        def forward(self, ids):
            return self.head(self.lstm(self.table(ids))[0])

    if name == "mlp":
        model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    elif name == "lenet":
        model = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
                              nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.Linear(120, 84),
                              nn.Linear(84, 10))
    else:
        model = GPT() if name == "gpt" else Words()
    inputs, labels = map(torch.from_numpy, batch(name))

    def lose():
        scores = model(inputs)
        return nn.functional.cross_entropy(scores.reshape(-1, scores.shape[-1]), labels.reshape(-1))

    return torch_training(model, lose, 0.01)


if __name__ == "__main__":
    beside_torch("peers_training", __doc__, CASES, gpuflow_step, torch_step, rounds=9, calls=3)
