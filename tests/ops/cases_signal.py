"""Sample inputs for frames of signals; see cases.py."""
from tests.ops.cases import normal

CASES = {
    "frame": [((normal(2, 9),), {"length": 4, "hop": 2}), ((normal(7),), {"length": 2, "hop": 3})],
    "overlap_add": [((normal(2, 4, 3),), {"hop": 2}), ((normal(2, 5),), {"hop": 1, "total": 8})],
}
