"""The weights of one layer go to a file and into another model; the rest of that model stays as it is."""
import sys
import tempfile
from pathlib import Path

import gpuflow as paddle


def model():
    return paddle.nn.LayerDict({"embedding": paddle.nn.Embedding(50, 4), "head": paddle.nn.Linear(4, 2)})


def eager():
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


def static():
    paddle.enable_static()
    ids = paddle.static.data("ids", [None], "int64")
    layers = model()
    layers["head"](layers["embedding"](ids))
    exe, main = paddle.static.Executor(), paddle.static.default_main_program()

    def of_embedding(tensor):
        return tensor.name.startswith("embedding")

    with tempfile.TemporaryDirectory() as folder:
        exe.run(paddle.static.default_startup_program())
        embedding, head = layers["embedding"].weight.numpy(), layers["head"].weight.numpy()
        paddle.static.save_vars(exe, folder, main, predicate=of_embedding)
        print("files:", sorted(path.name for path in Path(folder).iterdir()))
        exe.run(paddle.static.default_startup_program())        # other first numbers everywhere
        paddle.static.load_vars(exe, folder, main, predicate=of_embedding)
    print("the embedding is the saved one:", bool((layers["embedding"].weight.numpy() == embedding).all()))
    print("the head is not:", bool((layers["head"].weight.numpy() != head).any()))


if __name__ == "__main__":
    static() if "--static" in sys.argv else eager()
