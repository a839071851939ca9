"""The ready-made training loop: `Model` with fit, evaluate and predict, its callbacks, `summary` and `flops`."""
