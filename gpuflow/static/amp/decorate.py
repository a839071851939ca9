"""decorate: an optimizer whose `minimize` casts the program, scales the loss and leaves out steps that overflow."""
from __future__ import annotations

import warnings

from gpuflow import dtypes
from gpuflow.amp import lists as all_lists
from gpuflow.amp.decorate import widen_gradient
from gpuflow.amp.grad_scaler import GradScaler
from gpuflow.errors import explain, refuse_unknown
from gpuflow.static.amp.lists import AutoMixedPrecisionLists
from gpuflow.static.amp.rewrite import cast_model_to_fp16, cast_parameters_to_fp16
from gpuflow.static.program import program_guard

WHERE = "static.amp.decorate"
OLDER = ("use_pure_fp16", "use_fp16_guard", "use_bf16")    # names of Paddle's first form of decorate
OLDER_ORDER = ("init_loss_scaling", "incr_every_n_steps", "decr_every_n_nan_or_inf", "incr_ratio", "decr_ratio",
               "use_dynamic_loss_scaling", "use_pure_fp16", "use_fp16_guard", "use_bf16", "use_promote")
OLDER_DEFAULTS = {"init_loss_scaling": 2.0**15, "incr_every_n_steps": 1000, "decr_every_n_nan_or_inf": 2,
                  "decr_ratio": 0.8, "use_dynamic_loss_scaling": True}


class OptimizerWithMixedPrecision:
    """What `decorate` makes of an optimizer; everything but the methods below is the optimizer's own."""

    def __init__(self, optimizer, amp_lists, level, dtype, scaler: GradScaler, use_amp_guard=False,
                 use_master_grad=False, use_promote=False):
        self._optimizer, self._lists, self._level, self._dtype = optimizer, amp_lists, level, dtype
        self._scaler, self._guard, self._promote = scaler, use_amp_guard, use_promote
        self._master_grad = use_master_grad and level == "O2"
        self._program = self._scaled_loss = None
        self._low: set[str] = set()    # names of the parameters in the low type

    def __getattr__(self, name):
        if name == "_optimizer":    # while it is being copied
            raise AttributeError(name)
        return getattr(self._optimizer, name)

    def get_loss_scaling(self):
        """The scale as a tensor of shape [1] that a run can fetch. RuntimeError where the loss is not scaled."""
        if self._scaler._in_program is None:
            raise RuntimeError(explain("get_loss_scaling", "a scaled loss", "none", "minimize before; bfloat16 has no "
                                       "scale"))
        return self._scaler._in_program.tensors[0]

    def get_scaled_loss(self):
        """The loss times the scale; None before minimize."""
        return self._scaled_loss

    def minimize(self, loss, startup_program=None, parameter_list=None, no_grad_set=None):
        """Casts the loss's program, and appends its backward and a step; ([operators], [(parameter, gradient)])."""
        pairs = self.backward(loss, startup_program, parameter_list, no_grad_set)
        return self.apply_optimize(loss, startup_program, pairs), pairs

    def backward(self, loss, startup_program=None, parameter_list=None, no_grad_set=None, callbacks=None) -> list:
        """Casts the loss's program and appends the backward of the scaled loss; [(parameter, gradient)]."""
        program = self._program = loss.block.program
        with program_guard(program, startup_program):
            self._low = cast_model_to_fp16(program, self._lists, self._guard, self._dtype, self._level, self._promote)
            if self._master_grad:
                for parameter in program.all_parameters():
                    widen_gradient(parameter, dtypes.convert(self._dtype))
            loss = loss.astype("float32") if loss.dtype.itemsize == 2 else loss
            self._scaled_loss = self._scaler.scale_in_program().scaled(loss) if self._scaler.is_enable() else loss
            return self._optimizer.backward(self._scaled_loss, startup_program, parameter_list, no_grad_set)

    def apply_gradients(self, params_grads) -> list:
        """Appends the step with gradients of the scaled loss; [its operator]."""
        scale = self._scaler._in_program
        return self._optimizer._apply_scaled(params_grads, scale if self._scaler.is_enable() else None)

    def apply_optimize(self, loss, startup_program, params_grads) -> list:
        """`apply_gradients` in the loss's program."""
        with program_guard(loss.block.program, startup_program):
            return self.apply_gradients(params_grads)

    def amp_init(self, place=None, scope=None, test_program=None, use_fp16_test=False, rewrite_master_weight=False):
        """Makes a scope's parameters low where its startup program ran before minimize, and casts test_program.

        test_program: in level O2, or with use_fp16_test, it computes in the same types. place and rewrite_master_weight
        change nothing. In the global scope the startup program gives the low types by itself.
        """
        if self._program is None:
            raise RuntimeError(explain("amp_init", "minimize before it", "none"))
        cast_parameters_to_fp16(place, self._program, scope, self._low, self._dtype)
        if test_program is not None and (self._level == "O2" or use_fp16_test):
            cast_model_to_fp16(test_program, self._lists, self._guard, self._dtype, self._level, self._promote)


def decorate(optimizer, amp_lists=None, *args, **options) -> OptimizerWithMixedPrecision:
    """An optimizer that trains a float32 Program in mixed precision: `decorate(optimizer, ...).minimize(loss)`.

    decorate(optimizer, amp_lists=None, level="O1", dtype="float16", master_weight=None, master_grad=False,
             init_loss_scaling=2**16, incr_every_n_steps=2000, decr_every_n_nan_or_inf=1, incr_ratio=2.0,
             decr_ratio=0.5, use_dynamic_loss_scaling=None, use_amp_guard=False, use_promote=False)

    amp_lists: AutoMixedPrecisionLists. level: "O1", "O2", "OD" or "O0", as of `amp.auto_cast`. dtype: "float16" or
        "bfloat16". master_weight, master_grad: at O2, as of `amp.decorate`.
    init_loss_scaling ... use_dynamic_loss_scaling: as of `amp.GradScaler`; bfloat16 is not scaled.
    use_amp_guard: at O2, cast only what is built in `fp16_guard`. use_promote: at O2, ops that are on no list compute
        in float32 where an input is float32, as `auto_cast` has it by default, and not in the low type.

    Paddle's first form is taken as well: decorate(optimizer, amp_lists=None, init_loss_scaling=2**15,
    incr_every_n_steps=1000, decr_every_n_nan_or_inf=2, incr_ratio=2.0, decr_ratio=0.8, use_dynamic_loss_scaling=True,
    use_pure_fp16=False, use_fp16_guard=None, use_bf16=False, use_promote=False), where a third argument by its place is
    a number or one of the last names is there.
    """
    if (args and isinstance(args[0], float)) or not options.keys().isdisjoint(OLDER):
        return _decorate(optimizer, amp_lists, **_from_older(args, options))
    return _decorate(optimizer, amp_lists, *args, **options)


def _from_older(args, options: dict) -> dict:
    given = {**OLDER_DEFAULTS, **dict(zip(OLDER_ORDER, args)), **options}
    refuse_unknown(WHERE, given, OLDER_ORDER)
    pure, guard, low = (given.pop(name, None) for name in OLDER)
    return {**given, "level": "O2" if pure else "O1", "dtype": "bfloat16" if low else "float16",
            "master_weight": "as it is", "use_amp_guard": bool(pure) if guard is None else bool(guard)}


def _decorate(optimizer, amp_lists=None, level="O1", dtype="float16", master_weight=None, master_grad=False,
              init_loss_scaling=2.0**16, incr_every_n_steps=2000, decr_every_n_nan_or_inf=1, incr_ratio=2.0,
              decr_ratio=0.5, use_dynamic_loss_scaling=None, use_amp_guard=False, use_promote=False):
    level = str(level).upper()
    if level not in all_lists.LEVELS:
        raise ValueError(explain(f"{WHERE}(level=...)", "O0, OD, O1 or O2", repr(level)))
    found = AutoMixedPrecisionLists(dtype=dtype) if amp_lists is None else amp_lists
    if level == "OD" and amp_lists is not None:
        warnings.warn(f"{WHERE}: level OD does not use amp_lists", stacklevel=3)
        found = AutoMixedPrecisionLists(dtype=dtype)
    dynamic = dtype == "float16" if use_dynamic_loss_scaling is None else bool(use_dynamic_loss_scaling)
    if dtype == "bfloat16" and dynamic:
        warnings.warn(f"{WHERE}: bfloat16 has the range of float32, so the loss is not scaled", stacklevel=3)
        dynamic, init_loss_scaling = False, 1.0
    if level == "O2" and master_weight != "as it is":
        optimizer._set_multi_precision(master_weight is not False)
    scaler = GradScaler(dynamic or init_loss_scaling != 1.0, init_loss_scaling, incr_ratio, decr_ratio,
                        incr_every_n_steps, decr_every_n_nan_or_inf, dynamic)
    return OptimizerWithMixedPrecision(optimizer, found, level, dtype, scaler, use_amp_guard, master_grad, use_promote)
