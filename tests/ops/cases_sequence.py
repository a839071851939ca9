"""Sample inputs for attention and recurrences; see cases.py."""
from tests.ops.cases import bools, ints, normal

CASES = {
    "attention_weights": [
        ((normal(2, 2, 3, 4), normal(2, 2, 5, 4), None), {"scale": 0.3}),
        ((normal(2, 2, 3, 2), normal(2, 2, 3, 2), normal(2, 1, 3, 3)), {"scale": 0.5, "causal": True}),
        ((normal(2, 3, 2), normal(2, 4, 2), bools(3, 4) | (ints(1, 4) == 0)), {"scale": 0.5}),
        ((normal(3, 2), normal(1, 4, 2), None), {"scale": -0.5}),
    ],
    "full_by_batch": [((normal(2, 3),), {"shape": (4, 1, 0), "value": 0.5, "dtype": "float64", "axis": 1, "at": 1})],
}
