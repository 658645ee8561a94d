"""The age model, from a table to a model directory. Needs the extra: pip install 'safestream[train]'."""
