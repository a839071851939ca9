"""Every public name of `paddle` and of its tensors is here, but for those that the tables give a reason for."""
import importlib
import json
from pathlib import Path

import gpuflow

GOLDEN = json.loads((Path(__file__).parent / "golden" / "names.json").read_text())

ABSENT = {
    "paddle": {
        "torch's constructors; to_tensor takes a dtype": "BFloat16Tensor BoolTensor ByteTensor CharTensor DoubleTensor "
            "FloatTensor HalfTensor IntTensor LongTensor ShortTensor",
        "torch's behaviour of Paddle's names": "disable_compat enable_compat",
        "one process": "MmapStorage",
        "other devices": "XPUPinnedPlace",
        "dtypes that NumPy or CuPy do not compute in, or gpuflow does not": "float8_e4m3fn float8_e5m2 uint16 uint32 "
            "uint64 pstring raw",
        "Paddle's C++ core": "disable_signal_handler get_flags set_flags",
        "parameters are made at once": "LazyGuard",
        "readers of before DataLoader": "batch",
    },
    "Tensor": {
        "functions whose first argument is no tensor": "add_n block_diag broadcast_shape broadcast_shapes "
            "broadcast_tensors concat create_parameter create_tensor is_tensor multi_dot multiplex polar scatter_nd "
            "shard_index stack",
        "sparse tensors": "coalesce cols crows dense_dim indices is_coalesced is_sparse is_sparse_coo is_sparse_csr "
            "nnz rows sparse_dim to_dense to_sparse_coo to_sparse_csr values",
        "tensors over several processes": "is_dist num_shard placements process_mesh reconstruct_from_",
        "Paddle's C++ core": "block get_map_tensor get_selected_rows grad_ layout offset set_string_list set_tensor "
            "set_vocab type",
        "not written": "top_p_sampling",
    },
}


def test_every_name_is_here_or_has_a_reason():
    here = {"paddle": dir(gpuflow), "Tensor": dir(gpuflow.ones([1]))}
    for owner, names in GOLDEN.items():
        absent = {name for listed in ABSENT[owner].values() for name in listed.split()}
        assert set(names) - set(here[owner]) == absent


def test_names_from_other_rooms_are_what_they_say():
    for name, room in gpuflow._ELSEWHERE.items():
        assert getattr(gpuflow, name) is getattr(importlib.import_module(f"gpuflow.{room}"), name)
