"""Whole trainings beside Paddle 3.3.1: the same text runs with Paddle (make.py, once) and with gpuflow (the tests).

rules.py      a network of twelve numbers: every optimizer under every clip, decay and strategy
networks.py   small MLP, CNN, LSTM, Transformer and embedding networks under the FAQ's strategies
reference.py  the trainings of rules.py by hand in float64, for where Paddle breaks its own word
"""
