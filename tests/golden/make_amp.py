"""Writes amp.json with paddlepaddle 3.3.1 (CPU): `python tests/golden/make_amp.py`.

Paddle's auto_cast has no effect in eager mode on a CPU, so the expressions of amp_cases.py are built as programs, where
the same rule places the casts. Entry: {level: {case: {mixture: dtype of the result}}}; "low" where the program is
refused because a kernel of Paddle's CPU build does not know bfloat16, which tells that the op would have computed in
it; "refused" where Paddle refuses the call before. Beside it stand signatures, defaults and lists of
paddle.amp, and how the scale of GradScaler moves.
"""
import inspect
import json
import sys
from pathlib import Path

import paddle
import paddle.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent))
from amp_cases import CASES, LEVELS, LOW, SCALES, mixtures


def dtype_of(expression, shapes, dtypes, level):
    main, startup = paddle.static.Program(), paddle.static.Program()
    with paddle.static.program_guard(main, startup):
        x = [paddle.static.data(f"x{i}", s, d) for i, (s, d) in enumerate(zip(shapes, dtypes))]
        ids = paddle.static.data("ids", [4], "int64")
        with paddle.amp.auto_cast(level=level, dtype=LOW):
            try:
                out = eval(expression, {"paddle": paddle, "F": F, "x": x, "ids": ids})
            except Exception as error:
                if "dtype: bfloat16" in str(error):
                    return "low"
                print(level, expression, dtypes, "->", str(error).strip()[-160:].replace("\n", " "))
                return "refused"
    return str((out[0] if isinstance(out, (list, tuple)) else out).dtype).removeprefix("paddle.")


def signature(function):
    found = inspect.signature(function).parameters
    return {name: None if p.default is p.empty else p.default for name, p in found.items() if name != "self"}


def scales(pattern, settings):
    """The scale after each step; Paddle's scaler is off on a CPU, so it is switched on by hand."""
    scaler = paddle.amp.GradScaler(init_loss_scaling=8.0)
    scaler._enable = scaler._use_dynamic_loss_scaling = True
    scaler._scale = paddle.to_tensor(8.0)
    scaler._incr_count = scaler._decr_count = 0
    defaults = {n: p.default for n, p in inspect.signature(paddle.amp.GradScaler.__init__).parameters.items()}
    for name in ("incr_ratio", "decr_ratio", "incr_every_n_steps", "decr_every_n_nan_or_inf"):
        setattr(scaler, f"_{name}", settings.get(name, defaults[name]))
    found = []
    for kind in pattern:
        scaler._cache_found_inf = kind == "x"
        scaler._update()
        found.append(float(scaler._scale))
    return found


golden = {"signatures": {name: signature(getattr(paddle.amp, name)) for name in
                         ("auto_cast", "amp_guard", "autocast", "decorate", "is_float16_supported",
                          "is_bfloat16_supported", "is_autocast_enabled", "get_autocast_dtype")}}
golden["signatures"]["GradScaler"] = signature(paddle.amp.GradScaler.__init__)
golden["methods"] = {name: list(signature(method)) for name, method in inspect.getmembers(paddle.amp.GradScaler)
                     if not name.startswith("_")}
for kind in ("white_list", "black_list"):
    golden[kind] = {dtype: {level: sorted(names) for level, names in levels.items()}
                    for dtype, levels in getattr(paddle.amp, kind)().items()}
golden["scales"] = [scales(*case) for case in SCALES]
paddle.enable_static()
golden["dtypes"] = {level: {name: {mix: dtype_of(expression, shapes, dtypes, level)
                                   for mix, dtypes in mixtures(len(shapes)).items()}
                            for name, (expression, shapes) in CASES.items()} for level in LEVELS}
Path(__file__).with_name("amp.json").write_text(json.dumps(golden, indent=1) + "\n")
