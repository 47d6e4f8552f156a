"""The fitted trace: expectation maximisation of an exponential trace, and Bayes' rule in the fitted model."""
