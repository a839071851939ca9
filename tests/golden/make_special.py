"""Writes special.json: special functions to 17 digits, by mpmath.

    /path/to/a/python/with/mpmath tests/golden/make_special.py
"""
import json
from pathlib import Path

import mpmath

mpmath.mp.dps = 40
PLACES = [1e-8, 0.01, 0.3, 0.999, 1.0, 1.5, 2.0, 3.7, 9.99, 24.9, 25.1, 170.0, 1e5]
BELOW = [-0.2, -1.5, -6.9]
INSIDE = [-1 + 1e-12, -0.999, -0.5, -0.1, 1e-9, 0.2, 0.75, 1 - 1e-7]
SHAPES, ENDS = [0.05, 0.5, 1.0, 3.0, 20.0, 300.0, 5000.0], [1e-3, 0.3, 1.0, 4.0, 25.0, 280.0, 5100.0]


def _scaled(order):
    return lambda x: mpmath.besseli(order, x) * mpmath.exp(-abs(x))




FUNCTIONS = {
    "lgamma": (lambda x: mpmath.log(abs(mpmath.gamma(x))), PLACES + BELOW),
    "digamma": (lambda x: mpmath.psi(0, x), PLACES + BELOW),
    **{f"polygamma {n}": (lambda x, n=n: mpmath.psi(n, x), PLACES + BELOW) for n in (1, 2, 5)},
    "multigammaln 3": (lambda x: 1.5 * mpmath.log(mpmath.pi) + sum(mpmath.loggamma(x - j / mpmath.mpf(2))
                                                                   for j in range(3)), PLACES[5:]),
    "erfinv": (mpmath.erfinv, INSIDE),
    "i0": (lambda x: mpmath.besseli(0, x), PLACES[:-1] + BELOW), "i0e": (_scaled(0), PLACES + BELOW),
    "i1": (lambda x: mpmath.besseli(1, x), PLACES[:-1] + BELOW), "i1e": (_scaled(1), PLACES + BELOW),
}

if __name__ == "__main__":
    found = {name: [[x, float(f(mpmath.mpf(x)))] for x in places] for name, (f, places) in FUNCTIONS.items()}
    pairs = [(a, y) for a in SHAPES for y in ENDS]
    found["gammainc"] = [[a, y, float(mpmath.gammainc(a, 0, y, regularized=True))] for a, y in pairs]
    found["gammaincc"] = [[a, y, float(mpmath.gammainc(a, y, mpmath.inf, regularized=True))] for a, y in pairs]
    path = Path(__file__).resolve().parent / "special.json"
    path.write_text("{\n" + ",\n".join(f"{json.dumps(n)}: {json.dumps(v)}" for n, v in found.items()) + "\n}\n")
