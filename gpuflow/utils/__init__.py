"""Helpers for model code: `utils.unique_name`, whose `guard` gives a model a name space of its own."""
from gpuflow import unique_name

__all__ = ["unique_name"]
