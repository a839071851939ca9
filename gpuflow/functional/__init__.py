"""The public functions on tensors, thin and documented, made from the registry's rows.

math, reduction, manipulation, creation, ...: one file per family, named as Paddle's documentation groups them.
"""
