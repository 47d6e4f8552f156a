"""Studies and measurements that use infodil; each is a script run as `python -m analyses.NAME` from the root."""
