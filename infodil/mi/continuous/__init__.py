"""Estimators of mutual information between real vectors."""
