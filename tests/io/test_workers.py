"""DataLoader with workers: order, repeatability, shared memory, and everything that goes wrong in a process."""
import gc
import os
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import gpuflow
from gpuflow.io import DataLoader, TensorDataset, WorkerError, WorkerTimeout, get_worker_info, transport
from tests.io import worker_data as data


def numbers(loader):
    return [int(x) for batch in loader for x in np.ravel(batch.numpy())]


def gone(pids, seconds=5):
    """True once none of the processes is there any more (or it is a zombie that nobody can mistake for work)."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(os.path.exists(f"/proc/{pid}") and "Z" not in open_status(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def open_status(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2]
    except OSError:
        return "Z"


def test_same_batches_as_without_workers():
    for dataset in (data.Squares(11), data.Nested(7), TensorDataset([np.arange(10.), gpuflow.to_tensor(np.eye(10))])):
        gpuflow.seed(3)
        here = list(DataLoader(dataset, batch_size=3, shuffle=True))
        gpuflow.seed(3)
        there = list(DataLoader(dataset, batch_size=3, shuffle=True, num_workers=2))
        assert len(here) == len(there)
        assert repr(here) == repr(there)
        assert type(here[0]) is type(there[0])


def test_order_is_kept_when_results_come_out_of_order():
    assert numbers(DataLoader(data.Sleepy(12), batch_size=2, num_workers=2)) == list(range(12))


@pytest.mark.parametrize("share", [True, False])
def test_large_batches_arrive_whole(share):
    loader = DataLoader(data.Large(40), batch_size=4, num_workers=1, use_shared_memory=share)
    rows = list(loader)
    assert [x.shape for x, _ in rows] == [[4, 20_000]] * 10
    for k, (x, y) in enumerate(rows):   # looked at after all arrived: a block used again must not change them
        assert (x.numpy() == np.arange(4 * k, 4 * k + 4)[:, None]).all()
        assert (y.numpy() == -np.arange(4 * k, 4 * k + 4)[:, None]).all()


def test_blocks_are_replaced_when_batches_grow():
    for i, x in enumerate(DataLoader(data.Growing(6), num_workers=1)):
        assert x.shape == [1, 60_000 * (i + 1)] and (x.numpy() == i).all()


def test_messages_carry_what_blocks_cannot(monkeypatch):
    class Connection:
        def send(self, message):
            raise AssertionError("no block should be announced")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    sender = transport.Sender(Connection(), True)
    batch = {"x": np.ones(100_000)}
    packed, block = sender.pack(batch)
    assert block is None and packed["x"] is batch["x"] and not sender.share


def test_runs_repeat_and_workers_differ():
    def run():
        gpuflow.seed(7)
        loader = DataLoader(data.Facts(8), batch_size=2, num_workers=2)
        return [[float(x) for batch in loader for x in batch["random"].numpy()] for _ in range(2)]

    first, second = run(), run()
    assert first == second
    assert len(set(first[0] + first[1])) == 16   # workers and passes have numbers of their own


def test_workers_are_light_and_know_their_number():
    batches = list(DataLoader(data.Facts(8), batch_size=2, num_workers=2))
    assert [int(batch["worker"].numpy()[0]) for batch in batches] == [0, 1, 0, 1]
    assert not any(batch["heavy"].numpy().any() for batch in batches)
    assert get_worker_info() is None


def test_persistent_workers_stay_and_a_broken_off_pass_leaves_nothing_behind():
    loader = DataLoader(data.Facts(8), batch_size=2, num_workers=2, persistent_workers=True)
    pass_ = iter(loader)
    first = next(pass_)["pid"].numpy()[0]
    pids = [int(pid) for batch in loader for pid in batch["pid"].numpy()]
    assert len(pids) == 8 and first in pids and len(set(pids)) == 2
    assert list(pass_) == []   # the new pass ended the old one
    del loader, pass_
    gc.collect()
    assert gone(set(pids))


def test_batches_of_a_broken_off_pass_do_not_come_in_the_next():
    loader = DataLoader(data.Sleepy(40), batch_size=2, shuffle=True, num_workers=2, persistent_workers=True)
    for _ in range(3):
        next(iter(loader))
    assert sorted(numbers(loader)) == list(range(40))


def test_seeds_are_the_same_for_persistent_and_fresh_workers():
    def run(**options):
        gpuflow.seed(5)
        loader = DataLoader(data.Facts(4), num_workers=2, **options)
        return [[float(batch["random"]) for batch in loader] for _ in range(2)]

    assert run(persistent_workers=True) == run()


def test_iterable_dataset_is_shared_out():
    assert sorted(numbers(DataLoader(data.Counting(11), batch_size=2, num_workers=3))) == list(range(11))
    assert numbers(DataLoader(data.Counting(5), batch_size=2)) == list(range(5))
    assert numbers(DataLoader(data.Counting(5), batch_size=2, drop_last=True)) == list(range(4))


def test_uneven_workers_come_in_a_fixed_order():
    expected = [0, 10, 20, 11, 21, 22]
    for _ in range(3):
        assert numbers(DataLoader(data.Uneven(), batch_size=1, num_workers=3)) == expected


def test_collate_fn_and_worker_init_fn_run_in_the_worker():
    loader = DataLoader(data.Sleepy(4), batch_size=2, num_workers=1, collate_fn=data.largest_first)
    assert numbers(loader) == [1, 0, 3, 2]
    loader = DataLoader(data.Facts(1), num_workers=1, worker_init_fn=data.note_start)
    assert float(next(iter(loader))["random"]) == np.random.RandomState(1000).rand()


def test_an_error_keeps_its_type_and_names_worker_and_place():
    with pytest.raises(KeyError) as caught:
        list(DataLoader(data.Failing(8), batch_size=2, num_workers=2))
    assert "worker 0" in str(caught.value) and "batch 2" in str(caught.value)
    assert "no sample five" in str(caught.value) and "__getitem__" in str(caught.value)


def test_an_error_that_cannot_be_rebuilt_is_a_worker_error():
    with pytest.raises(WorkerError, match="Unusual") as caught:
        list(DataLoader(data.FailingUnusually(4), num_workers=1))
    assert "custom" in str(caught.value)


def test_a_batch_that_cannot_be_sent_is_an_error_here():
    with pytest.raises(Exception, match="worker 0 raised"):
        list(DataLoader(data.Squares(4), num_workers=1, collate_fn=data.unpicklable))


def test_a_killed_worker_is_reported_with_its_number():
    with pytest.raises(WorkerError, match=r"worker 1 \(pid \d+\) died with signal 9"):
        list(DataLoader(data.Suicidal(8), num_workers=2))


def test_timeout_names_the_worker_and_ends_it():
    loader = DataLoader(data.Stuck(4), num_workers=2, timeout=4)   # the sound worker may start slowly
    begin = time.monotonic()
    iterator = iter(loader)
    pids = [process.pid for process in iterator.pool.processes]
    with pytest.raises(WorkerTimeout, match="worker 1"):
        list(iterator)
    assert time.monotonic() - begin < 20
    assert gone(pids)


def test_workers_end_with_the_iterator():
    iterator = iter(DataLoader(data.Squares(100), num_workers=2))
    next(iterator)
    pids = [process.pid for process in iterator.pool.processes]
    del iterator
    gc.collect()
    assert gone(pids)


def environment() -> dict:
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return {**os.environ, "PYTHONPATH": root, "GPUFLOW_DEVICE": "cpu"}


def test_local_classes_and_lambdas_go_to_workers():
    factor = 3

    class Local(data.Squares):
        def __getitem__(self, index):
            return factor * index

    loader = DataLoader(Local(4), batch_size=2, num_workers=2, collate_fn=lambda samples: np.array(samples) + 1)
    assert [batch.tolist() for batch in loader] == [[1, 4], [7, 10]]


def test_what_is_defined_in_a_session_goes_to_workers(tmp_path):
    code = """
        import numpy as np
        from gpuflow.io import DataLoader, Dataset
        class Mine(Dataset):
            def __getitem__(self, index):
                return np.float32(index)
            def __len__(self):
                return 4
        print([batch.tolist() for batch in DataLoader(Mine(), batch_size=2, num_workers=2)])
    """
    found = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], text=True, capture_output=True, cwd=tmp_path,
                           env=environment(), timeout=60)
    assert found.stdout == "[[0.0, 1.0], [2.0, 3.0]]\n", found.stderr


def test_what_cannot_be_pickled_is_refused_with_advice(tmp_path):
    dataset = data.Squares()
    with open(tmp_path / "log", "wb") as dataset.file, \
            pytest.raises(TypeError, match=r"dataset that can be pickled.*open files.*num_workers=0"):
        iter(DataLoader(dataset, num_workers=1))
    with pytest.raises(TypeError, match="collate_fn that can be pickled"):
        iter(DataLoader(data.Squares(), num_workers=1, collate_fn=threading.Lock().acquire))
    with pytest.raises(RuntimeError, match=r"dataset cannot be built again in a worker.*lives elsewhere"):
        next(iter(DataLoader(data.Unbuildable(), num_workers=1)))


def script(tmp_path, text, **options):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(text))
    return subprocess.Popen([sys.executable, str(path)], env=environment(), text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)


def test_a_script_without_guard_gets_advice(tmp_path):
    process = script(tmp_path, """
        from gpuflow.io import DataLoader
        from tests.io.worker_data import Squares
        for batch in DataLoader(Squares(), num_workers=2):
            pass
        print("done")
    """)
    out, err = process.communicate(timeout=30)
    assert process.returncode != 0 and "done" not in out
    assert 'if __name__ == "__main__":' in err


def test_a_script_that_ends_early_leaves_no_worker(tmp_path):
    process = script(tmp_path, """
        from gpuflow.io import DataLoader
        from tests.io.worker_data import Squares
        if __name__ == "__main__":
            keep = iter(DataLoader(Squares(1000), num_workers=2, persistent_workers=True))
            next(keep)
            print(*[p.pid for p in keep.pool.processes])
    """)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0 and not err, err
    assert gone([int(pid) for pid in out.split()])


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGKILL"])
def test_workers_end_with_the_main_process(tmp_path, signal_name):
    import signal

    process = script(tmp_path, """
        import sys
        from gpuflow.io import DataLoader
        from tests.io.worker_data import Stuck
        if __name__ == "__main__":
            loader = iter(DataLoader(Stuck(50), num_workers=2))
            print(*[p.pid for p in loader.pool.processes], flush=True)
            for batch in loader:
                pass
    """, start_new_session=True)
    pids = [int(pid) for pid in process.stdout.readline().split()]
    time.sleep(0.3)
    number = getattr(signal, signal_name)
    if signal_name == "SIGINT":
        os.killpg(process.pid, number)   # as the terminal does: everybody gets it
    else:
        process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert gone(pids)
    if signal_name == "SIGINT":
        assert "KeyboardInterrupt" in err and err.count("Traceback") == 1, err
