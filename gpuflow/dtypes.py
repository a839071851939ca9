"""Element types: gpuflow's names for them, the default float, and which type a mixed operation has.

A `DType` is a name for a NumPy dtype; NumPy and CuPy accept it wherever they accept a dtype.
bfloat16 comes from the package ml_dtypes, which is imported when that type is first asked for.
"""
import numpy as np

from gpuflow.errors import explain


class DType:
    """One element type, e.g. ``gpuflow.float32``. Equal to its name and to the NumPy dtype of that name."""

    __slots__ = ("_dtype", "name")

    def __init__(self, name: str):
        self.name = name
        self._dtype = None if name == "bfloat16" else np.dtype(name)

    @property
    def dtype(self) -> np.dtype:
        """The NumPy dtype; NumPy reads this attribute, so a DType can stand wherever a dtype can."""
        if self._dtype is None:
            import ml_dtypes

            self._dtype = np.dtype(ml_dtypes.bfloat16)
        return self._dtype

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    @property
    def is_floating(self) -> bool:
        return self.name in ("float16", "bfloat16", "float32", "float64")

    @property
    def is_complex(self) -> bool:
        return self.name.startswith("complex")

    @property
    def is_differentiable(self) -> bool:
        """True for the types that a gradient can have."""
        return self.is_floating or self.is_complex

    def __eq__(self, other):
        if isinstance(other, DType):
            return self is other
        try:
            return self is convert(other)
        except (TypeError, ValueError):
            return NotImplemented

    def __hash__(self):
        return hash(self.name)

    def __repr__(self):
        return f"gpuflow.{self.name}"

    def __reduce__(self):
        return (convert, (self.name,))


_NAMES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64",
          "complex64", "complex128")
BY_NAME = {name: DType(name) for name in _NAMES}
(bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64, complex64, complex128) = BY_NAME.values()

_by_numpy: dict[np.dtype, DType] = {np.dtype(name): d for name, d in BY_NAME.items() if name != "bfloat16"}
_PYTHON = {bool: bool_, int: int64, float: float32, complex: complex64}
_default = float32


def convert(dtype) -> DType:
    """The DType for a DType, a name, a NumPy dtype or a Python type (float means the default float).

    Raises TypeError for anything that gpuflow's tensors cannot hold.
    """
    if isinstance(dtype, DType):
        return dtype
    if dtype is float:
        return _default
    if isinstance(dtype, type) and dtype in _PYTHON:
        return _PYTHON[dtype]
    found = BY_NAME.get(dtype.rpartition(".")[2]) if isinstance(dtype, str) else None
    if found is None:   # a NumPy dtype, or a name that NumPy knows, such as "int" or "float"
        try:
            dtype = np.dtype(dtype)
        except TypeError:
            pass
        else:
            found = _by_numpy.get(dtype) or (_of_bfloat16(dtype) if dtype.name == "bfloat16" else None)
    if found is None:
        raise TypeError(explain("dtype", f"one of {', '.join(_NAMES)}", repr(dtype)))
    return found


def _of_bfloat16(dtype: np.dtype) -> DType:
    _by_numpy[dtype] = bfloat16
    return bfloat16


def of(array) -> DType:
    """The DType of a NumPy or CuPy array."""
    found = _by_numpy.get(array.dtype)
    return found if found is not None else convert(array.dtype)


def get_default_dtype() -> str:
    """The name of the float type that Python floats, parameters and random numbers get: "float32" at the start."""
    return _default.name


def default_float() -> DType:
    return _default


def set_default_dtype(d) -> None:
    """Sets the default float type. d: float16, bfloat16, float32 or float64, as name or DType; else TypeError."""
    global _default
    found = convert(d)
    if not found.is_floating:
        raise TypeError(explain("set_default_dtype", "float16, bfloat16, float32 or float64", found.name))
    _default = found


_FLOAT_RANK = {float16: 1, bfloat16: 1, float32: 2, float64: 3, complex64: 4, complex128: 5}


def promote(a: DType, b: DType, where: str) -> DType:
    """The type of an operation on tensors of types a and b, by Paddle's rule.

    Floating types meet in the wider one, float16 with bfloat16 in float32; any type meets a complex one in complex. Any
    other mixture is a TypeError that names `where`: a silent int-to-float conversion is a bug more often than a wish.
    """
    if a is b:
        return a
    if a in _FLOAT_RANK and b in _FLOAT_RANK:
        if {a, b} == {float16, bfloat16}:
            return float32
        if {a, b} == {float64, complex64}:
            return complex128
        return a if _FLOAT_RANK[a] > _FLOAT_RANK[b] else b
    if a.is_complex or b.is_complex:
        return a if a.is_complex else b
    raise TypeError(explain(where, "tensors of one dtype, or of floating dtypes only", f"{a.name} and {b.name}",
                            f"x.astype('{(a if a in _FLOAT_RANK else b).name}') on one of them"))


def promote_scalar(a: DType, scalar: DType, where: str, beside_axes: bool = True) -> DType:
    """The type of arithmetic on a tensor of type a and a 0-d one, which counts as a number: beside a tensor that has
    axes its type matters where it is of a higher kind only (bool, integer, float, complex, in this order)."""
    if a.is_complex or scalar.is_complex:
        return promote(a, scalar, where)
    if _kind_rank(a) != _kind_rank(scalar):
        return max(a, scalar, key=_kind_rank)
    if beside_axes:
        return a
    return promote(a, scalar, where) if a.is_floating else convert(np.promote_types(a.dtype, scalar.dtype))


def _kind_rank(dtype: DType) -> int:
    return 0 if dtype is bool_ else 2 if dtype.is_floating else 1


def of_scalar_operand(tensor_dtype: DType, scalar) -> DType:
    """The type of an operation on a tensor and a Python number: the tensor's own, unless the number is no such kind."""
    if isinstance(scalar, complex):
        return tensor_dtype if tensor_dtype.is_complex else (
            complex128 if tensor_dtype is float64 else complex64)
    if isinstance(scalar, bool) or tensor_dtype.is_differentiable:
        return tensor_dtype
    if isinstance(scalar, float):
        return _default
    return int64 if tensor_dtype is bool_ else tensor_dtype


class iinfo:
    """Limits of an integer type: `min`, `max`, `bits`, `dtype` (a name)."""

    def __init__(self, dtype):
        kind = convert(dtype).dtype
        if kind.kind not in "iu":
            raise ValueError(explain("iinfo", "an integer dtype", kind.name, "finfo" if kind.kind == "f" else None))
        info = np.iinfo(kind)
        self.min, self.max, self.bits, self.dtype = int(info.min), int(info.max), info.bits, convert(dtype).name

    def __repr__(self):
        return f"gpuflow.iinfo(min={self.min}, max={self.max}, bits={self.bits}, dtype={self.dtype})"


class finfo:
    """Limits of a float type: `min`, `max`, `eps`, `tiny`, `smallest_normal`, `resolution`, `bits`, `dtype`."""

    def __init__(self, dtype):
        found = convert(dtype)
        if found is bfloat16:
            import ml_dtypes

            info = ml_dtypes.finfo(found.dtype)
        else:
            info = np.finfo(found.dtype)
        for name in ("min", "max", "eps", "tiny", "smallest_normal", "resolution"):
            setattr(self, name, float(getattr(info, name)))
        self.bits, self.dtype = int(info.bits), found.name

    def __repr__(self):
        return (f"gpuflow.finfo(min={self.min}, max={self.max}, eps={self.eps}, resolution={self.resolution}, "
                f"smallest_normal={self.smallest_normal}, tiny={self.tiny}, bits={self.bits}, dtype={self.dtype})")
