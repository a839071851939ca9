"""Sample inputs of the special functions (see cases.py)."""
from tests.ops.cases import between

CASES = {
    **{name: [((between(0.3, 5, 2, 3),),), ((between(-0.9, -0.1, 3),),)] for name in ("lgamma", "digamma")},
    "polygamma": [((between(0.5, 5, 2, 3),), {"n": n}) for n in (0, 1, 3)] + [((between(-1.9, -1.1, 2),), {"n": 1})],
    "multigammaln": [((between(1.5, 5, 2, 3),), {"p": p}) for p in (1, 3)],
    "erfinv": [((between(-0.9, 0.9, 2, 3),),)],
    **{name: [((between(-4, 4, 2, 3),),)] for name in ("i0", "i0e", "i1", "i1e")},
    **{name: [((between(0.5, 4, 2, 3), between(0.2, 6, 3)), {}, (0,))] for name in ("gammainc", "gammaincc")},
}
