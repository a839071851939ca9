"""Collective operations of a group of one: everybody's values are this process's own."""
from gpuflow.errors import explain

__all__ = ["Group", "ReduceOp", "all_gather", "all_gather_object", "all_reduce", "alltoall", "barrier", "broadcast",
           "broadcast_object_list", "destroy_process_group", "get_group", "new_group", "reduce", "reduce_scatter",
           "scatter", "wait"]


class ReduceOp:
    """How values of several processes become one."""

    SUM, MAX, MIN, PROD, AVG = range(5)


class Group:
    """The processes that an operation is about: this one."""

    id = rank = 0
    nranks = world_size = 1
    ranks = [0]
    process_group = None

    def is_member(self) -> bool:
        return True

    def get_group_rank(self, rank: int) -> int:
        return 0 if rank == 0 else -1


class _Done:
    """What an operation that need not be waited for gives back."""

    def wait(self) -> bool:
        return True

    is_completed = wait


_WORLD = Group()


def new_group(ranks=None, backend=None, timeout=None, nccl_comm_init_option=0) -> Group:
    """The group of those processes. ValueError where there is any but 0."""
    if ranks is not None and list(ranks) != [0]:
        raise ValueError(explain("new_group", "ranks [0], gpuflow trains in one process", str(ranks)))
    return _WORLD


def get_group(id: int = 0) -> Group:
    """The group of that number; there is one."""
    return _WORLD


def destroy_process_group(group=None) -> None:
    """Nothing is left to end."""


def barrier(group=None) -> None:
    """Waits for the other processes: there are none."""


def wait(tensor, group=None, use_calc_stream: bool = True) -> None:
    """Waits until the tensor is there: later operations on it do so by themselves."""


def _own(name: str, rank: int) -> None:
    if rank != 0:
        raise ValueError(explain(name, "rank 0, gpuflow trains in one process", str(rank)))


def all_reduce(tensor, op=ReduceOp.SUM, group=None, sync_op: bool = True) -> _Done:
    """Leaves in `tensor` the sum (or what op says) over the processes: itself."""
    return _Done()


def broadcast(tensor, src: int = 0, group=None, sync_op: bool = True) -> _Done:
    """Leaves in `tensor` that of process src."""
    _own("broadcast", src)
    return _Done()


def reduce(tensor, dst: int = 0, op=ReduceOp.SUM, group=None, sync_op: bool = True) -> _Done:
    """Leaves in process dst's `tensor` the sum (or what op says) over the processes."""
    _own("reduce", dst)
    return _Done()


def all_gather(tensor_list: list, tensor, group=None, sync_op: bool = True) -> _Done:
    """Adds to `tensor_list` the tensor of each process."""
    tensor_list.append(tensor.clone())
    return _Done()


def all_gather_object(object_list: list, obj, group=None) -> None:
    """Adds to `object_list` the object of each process."""
    object_list.append(obj)


def broadcast_object_list(object_list: list, src: int = 0, group=None) -> None:
    """Leaves in `object_list` that of process src."""
    _own("broadcast_object_list", src)


def scatter(tensor, tensor_list=None, src: int = 0, group=None, sync_op: bool = True) -> _Done:
    """Leaves in each process's `tensor` its part of process src's `tensor_list`."""
    _own("scatter", src)
    return _only("scatter", tensor_list, lambda part: tensor.set_value(part))


def reduce_scatter(tensor, tensor_list, op=ReduceOp.SUM, group=None, sync_op: bool = True) -> _Done:
    """Leaves in each process's `tensor` its part of the sum (or what op says) of their `tensor_list`."""
    return _only("reduce_scatter", tensor_list, lambda part: tensor.set_value(part))


def alltoall(out_tensor_list: list, in_tensor_list: list, group=None, sync_op: bool = True) -> _Done:
    """Adds to `out_tensor_list` what each process has for this one."""
    return _only("alltoall", in_tensor_list, lambda part: out_tensor_list.append(part.clone()))


def _only(name: str, parts, use) -> _Done:
    if parts is None or len(parts) != 1:
        raise ValueError(explain(name, "one tensor, for the one process", f"{0 if parts is None else len(parts)}"))
    use(parts[0])
    return _Done()
