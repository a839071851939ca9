"""Automatic differentiation in eager mode: the tape, `grad`, PyLayer, and a numerical check."""
