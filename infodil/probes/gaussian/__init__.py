"""The closed-form Gaussian probe."""
