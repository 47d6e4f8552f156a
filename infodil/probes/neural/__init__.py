"""Softmax probes trained by gradient: linear and multilayer perceptron."""
