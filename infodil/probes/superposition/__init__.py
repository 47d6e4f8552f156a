"""The superposition decoder: which tokens a known linear trace sums."""
