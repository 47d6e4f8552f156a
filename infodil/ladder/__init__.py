"""The ladder of probes: fit on training rows, calibrate and select on calibration rows, cross-fit."""
