"""What code for Paddle takes from its module of this name."""
from gpuflow import dtypes

__all__ = ["convert_dtype"]


def convert_dtype(dtype) -> str:
    """The name of a dtype, such as "float32"."""
    return dtypes.convert(dtype).name
