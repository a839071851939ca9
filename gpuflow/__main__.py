"""`python -m gpuflow` is the command `gpuflow`."""
from gpuflow.cli import main

raise SystemExit(main())
