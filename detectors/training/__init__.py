"""How the shipped detectors were made, and how to make them again. Needs the extra `safestream[train]`."""
