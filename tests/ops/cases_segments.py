"""Sample inputs for rows brought together by numbers; see cases.py."""
import numpy as np

from tests.ops.cases import normal

_ids = np.array([1, 0, 1, 3])

CASES = {"segment": [((normal(4, 3), _ids), {"how": "sum", "count": 4}),
                     ((normal(4), _ids), {"how": "mean", "count": 5}),
                     ((normal(4, 3), _ids), {"how": "max", "count": 4}),
                     ((normal(4, 3), _ids), {"how": "min", "count": 4})]}
