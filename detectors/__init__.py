"""What scores an event: the detectors, the process that runs them, model directories, calibration, training."""
