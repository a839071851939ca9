"""What a type checker makes of a user's program: every public name is there, and tensors compute."""
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = '''
import gpuflow as paddle
from gpuflow import nn
from gpuflow.nn import functional as F


class Net(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        y = F.relu(self.fc(x)) + 1.0 - x.mean() * 2
        z = -x[0, 1:] @ x.T / 3 + abs(x) ** 2
        for row in z:
            row.sum().backward()
        z[0] = 1.0
        return paddle.where((x > 0) & (z == y), paddle.exp(z), paddle.zeros_like(y))


net = Net()
optimizer = paddle.optimizer.AdamW(learning_rate=0.1, parameters=net.parameters())
with paddle.no_grad():
    out = net(paddle.to_tensor([1.0, 2.0], dtype=paddle.float32))
print(out.shape, paddle.bool, paddle.dtype, paddle.seed(1), paddle.ParamAttr(name="w"), paddle.CUDAPlace(0))
paddle.save(net.state_dict(), "x.pdparams")
loader = paddle.io.DataLoader([1, 2], batch_size=2)
reveal_type(paddle.to_tensor(1.0) * 2)
reveal_type(1 < paddle.to_tensor(1.0))
'''


@pytest.mark.slow_check
def test_a_program_passes_the_type_checker(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run([sys.executable, "-m", "mypy", "--no-implicit-reexport", "--follow-imports=silent",
                           "--cache-dir", str(tmp_path), str(tmp_path / "program.py")], capture_output=True, text=True,
                          cwd=Path(__file__).parents[1], timeout=300)
    assert "error" not in done.stdout and not done.returncode, done.stdout + done.stderr
    assert done.stdout.count('Revealed type is "gpuflow.tensor.Tensor"') == 2, done.stdout
