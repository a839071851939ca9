"""What `import paddle` finds in a process that one under `as_paddle` started: workers inherit sys.path, no finders."""
import sys
from importlib import import_module

from gpuflow.utils.paddle_name import as_paddle

del sys.modules["paddle"]
as_paddle()
import_module("paddle")
