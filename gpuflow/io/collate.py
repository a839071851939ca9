"""From samples to a batch: stacking by structure, the fast path for arrays, and arrays to tensors at the end."""
import numbers
from collections.abc import Mapping, Sequence

import numpy as np

from gpuflow import device
from gpuflow.errors import explain
from gpuflow.io.arrays import wrap
from gpuflow.io.dataset import ComposeDataset, Subset, TensorDataset
from gpuflow.tensor import Tensor, is_tensor


def default_collate_fn(batch):
    """Stacks a list of samples along a new first axis, field by field.

    Arrays and numbers become one array, tensors one tensor, text stays a list; a dict gives a dict and a list or tuple
    gives a list of its collated fields. Raises ValueError when samples differ in shape or in their fields.
    """
    first = batch[0]
    if isinstance(first, np.ndarray):
        return _stack(batch, np)
    if is_tensor(first):
        arrays = [sample._array for sample in batch]
        return Tensor(_stack(arrays, device.module_of(arrays[0])))
    if isinstance(first, numbers.Number | np.generic):
        return np.array(batch)
    if isinstance(first, str | bytes):
        return list(batch)
    if isinstance(first, Mapping):
        for i, sample in enumerate(batch):
            if sample.keys() != first.keys():
                raise ValueError(explain("collate", f"the keys of sample 0, {sorted(map(str, first))}",
                                         f"{sorted(map(str, sample))} in sample {i} of the batch"))
        return {key: default_collate_fn([sample[key] for sample in batch]) for key in first}
    if isinstance(first, Sequence):
        for i, sample in enumerate(batch):
            if len(sample) != len(first):
                raise ValueError(explain("collate", f"{len(first)} fields as in sample 0",
                                         f"{len(sample)} in sample {i} of the batch"))
        return [default_collate_fn(list(field)) for field in zip(*batch)]
    raise TypeError(explain("collate", "samples of arrays, tensors, numbers, text, dicts, lists and tuples",
                            type(first).__name__, "a collate_fn of your own"))


def default_convert_fn(batch):
    """The sample as it is, with tuples as lists: what happens where batching is off (batch_size=None)."""
    if is_tensor(batch) or isinstance(batch, np.ndarray | str | bytes):
        return batch
    if isinstance(batch, Mapping):
        return {key: default_convert_fn(value) for key, value in batch.items()}
    if isinstance(batch, Sequence):
        return [default_convert_fn(part) for part in batch]
    return batch


def _stack(arrays: list, xp):
    """xp.stack for equal shapes. np.array of 64 rows of 64 floats takes 12 us, np.stack 27."""
    shape = arrays[0].shape
    if [array.shape for array in arrays].count(shape) < len(arrays):
        i = next(i for i, array in enumerate(arrays) if array.shape != shape)
        raise ValueError(explain("collate", f"samples of shape {list(shape)}, as sample 0",
                                 f"{list(arrays[i].shape)} in sample {i} of the batch", "a collate_fn that pads"))
    kinds = {array.dtype for array in arrays}
    return np.array(arrays, kinds.pop()) if xp is np and len(kinds) == 1 else xp.stack(arrays)


def take_batch(dataset, indices):
    """The batch that default_collate_fn would make of dataset[i] for i in indices, by indexing whole arrays.

    None where the dataset is not known to be rows of arrays, or where a tensor needs a gradient (the graph would be
    lost here).
    """
    kind = type(dataset)
    if kind is TensorDataset:
        rows = np.asarray(indices)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            return None
        fields = []
        for tensor in dataset.tensors:
            if is_tensor(tensor):
                if not tensor.stop_gradient:
                    return None
                fields.append(Tensor(tensor._array[device.module_of(tensor._array).asarray(rows)]))
            elif isinstance(tensor, np.ndarray):
                fields.append(tensor[rows])
            else:
                return None
        return fields
    if kind is Subset:
        return take_batch(dataset.dataset, [dataset.indices[i] for i in indices])
    if kind is ComposeDataset:
        parts = [take_batch(part, indices) for part in dataset.datasets]
        return None if any(part is None for part in parts) else [field for part in parts for field in part]
    return None


def to_tensors(batch, place, fresh: bool):
    """Numeric arrays anywhere in the batch become tensors in `place`; tensors move there; everything else stays.

    fresh: nobody else holds the arrays, so that a tensor on the CPU may take over their memory. Otherwise it is
    copied: an operation in place must not change the dataset.
    """
    if isinstance(batch, np.ndarray):
        if batch.dtype.kind not in "biufc" and batch.dtype.name != "bfloat16":
            return batch
        owned = batch if (fresh and batch.flags.writeable) or place.is_gpu_place() else batch.copy()
        return wrap(owned, place)
    if is_tensor(batch):
        return batch if batch.place == place else wrap(batch._array, place)
    if isinstance(batch, dict):
        return {key: to_tensors(value, place, fresh) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_tensors(part, place, fresh) for part in batch))
    if isinstance(batch, list | tuple):
        return type(batch)([to_tensors(part, place, fresh) for part in batch])
    return batch
