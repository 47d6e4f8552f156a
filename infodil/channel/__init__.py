"""The linear superposition channel: states that are noisy sums of token vectors, their posterior and information."""
