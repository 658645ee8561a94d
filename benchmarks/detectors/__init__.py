"""What the detectors reach, against what a user would write first."""
