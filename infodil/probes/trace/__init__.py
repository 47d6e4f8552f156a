"""A fitted model of an exponential trace."""
