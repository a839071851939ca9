"""A package, so that `from tests.golden import ...` means this folder whatever else is installed."""
