"""Trains two towers on pretrained word vectors, frozen and then fine-tuned: `python examples/word_vectors/main.py`.

A paragraph of Python's language reference is to find its topic, by coming near other paragraphs of it. Both towers read
one table of words: their layers name it alike, and a name means one parameter.
"""
import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from dataset import as_ids, load, pairs
from model import TwoTowers
from pictures import towers
from pretrain import write

import gpuflow as paddle
from gpuflow import nn
from gpuflow.optimizer import Adam
from gpuflow.text import load_vectors
from gpuflow.utils import unique_name


@paddle.no_grad()
def accuracy(model, ids, topics, test_ids, test_topics):
    """The share of test paragraphs for which the topic of the nearest mean of answers is their own."""
    model.eval()
    answers = model.answers(paddle.to_tensor(ids)).numpy()
    means = np.stack([answers[topics == t].mean(axis=0) for t in range(topics.max() + 1)])
    found = (model.questions(paddle.to_tensor(test_ids)).numpy() @ means.T).argmax(axis=1)
    model.train()
    return float(np.mean(found == test_topics))


def train(model, optimizer, ids, topics, batch, steps, check, history, every=25):
    """Teaches questions to be nearest to the answer that is from their topic, of all answers in the batch."""
    lose, start = nn.CrossEntropyLoss(), history[-1][0] if history else 0
    if not history:
        history.append((0, check()))
    for step, (questions, answers) in enumerate(pairs(topics, batch, steps, seed=start), 1):
        likeness = model(paddle.to_tensor(ids[questions]), paddle.to_tensor(ids[answers]))
        loss = lose(likeness, paddle.arange(len(questions)))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        if step % every == 0 or step == steps:
            history.append((start + step, check()))
    return history


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", help="a file of word vectors, e.g. GloVe's (default: made from this text)")
    parser.add_argument("--steps", type=int, default=400, help="with the vectors frozen, and as many fine-tuning them")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="cpu, gpu:0, ... (default: the GPU if there is one)")
    parser.add_argument("--out", type=Path, default=Path("out/word_vectors"), help="where vectors and picture go")
    args = parser.parse_args()
    if args.device:
        paddle.set_device(args.device)
    args.out.mkdir(parents=True, exist_ok=True)

    paragraphs, topics, names, words = load()
    test = np.random.default_rng(args.seed).random(len(paragraphs)) < 0.2
    learned = [s for s, held_out in zip(paragraphs, test, strict=True) if not held_out]
    ids = as_ids(paragraphs, words)
    data = (ids[~test], topics[~test], ids[test], topics[test])
    print(f"device: {paddle.get_device()}; {len(paragraphs)} paragraphs from {len(names)} topics, {len(words)} words")
    source = args.vectors or args.out / "vectors.txt"
    if not args.vectors:
        write(source, learned, words)
    vectors = load_vectors(str(source), words, oov=nn.initializer.Constant(0.0))
    print(vectors)

    random = np.random.default_rng(args.seed).normal(0, vectors.array.std(), vectors.array.shape).astype(np.float32)
    histories, freed = {}, args.steps
    for label, numbers in (("random vectors", random), ("pretrained vectors", vectors.array)):
        paddle.seed(args.seed)
        with unique_name.guard():   # a name means one parameter within one name space: each model gets its own
            model = TwoTowers(*vectors.array.shape, numbers)
            optimizer = Adam(args.rate, parameters=model.parameters())
        shared = model.questions.words.weight
        assert shared is model.answers.words.weight
        before = shared.numpy()
        history = histories[label] = train(model, optimizer, *data[:2], args.batch, args.steps,
                                           lambda model=model: accuracy(model, *data), [])
        assert (shared.numpy() == before).all()
        print(f"{label}, frozen: {history[-1][1]:.3f} of the test paragraphs find their topic")
        model.let_words_learn()
        train(model, optimizer, *data[:2], args.batch, args.steps, lambda model=model: accuracy(model, *data), history)
        print(f"{label}, fine-tuned: {history[-1][1]:.3f}")
    print(optimizer.explain())

    paddle.save(model.state_dict(), str(args.out / "model.pdparams"))
    counts = Counter(word for s in learned for word in s if len(word) > 4)
    shown = [words.index(word) for word, _ in counts.most_common(45) if word in words]
    towers(histories, freed, [words[i] for i in shown], before[shown], shared.numpy()[shown], args.out / "towers.png")
    for file in ("model.pdparams", "towers.png"):
        print(f"  {args.out / file}")


if __name__ == "__main__":
    main()
