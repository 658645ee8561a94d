"""Model directories: found, fetched, checked, opened."""
