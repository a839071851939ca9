"""The weights of one layer go to a file and into another model; the rest of that model stays as it is."""
import tempfile
from pathlib import Path

import gpuflow as paddle


def model():
    return paddle.nn.LayerDict({"embedding": paddle.nn.Embedding(50, 4), "head": paddle.nn.Linear(4, 2)})


paddle.seed(1)
trained, fresh = model(), model()
head_before = fresh["head"].weight.numpy()

with tempfile.TemporaryDirectory() as folder:
    for ending in ("pdparams", "safetensors"):
        path = Path(folder) / f"embedding.{ending}"
        paddle.save(trained["embedding"].state_dict(), str(path))
        state = paddle.load(str(path))
        missing, unexpected = fresh["embedding"].set_state_dict(state)
        print(f"{ending}: entries {list(state)}, missing {missing}, unexpected {unexpected}")

same = bool((fresh["embedding"].weight == trained["embedding"].weight).all())
print("the embedding is the trained one:", same)
print("the head is as it was:", bool((fresh["head"].weight.numpy() == head_before).all()))

# Part of a whole state dict, by name:
whole = trained.state_dict()
part = {name.removeprefix("head."): value for name, value in whole.items() if name.startswith("head.")}
fresh["head"].set_state_dict(part)
print("and now the head too:", bool((fresh["head"].weight == trained["head"].weight).all()))
