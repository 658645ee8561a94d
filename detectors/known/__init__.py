"""Known content: files that somebody has judged before, recognised by their hashes."""
