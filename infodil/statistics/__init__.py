"""Resampling units, block lengths, bootstrap and confidence intervals."""
