"""Estimators and bounds of mutual information between labels."""
