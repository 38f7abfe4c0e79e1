"""Raw files: where they may come from, how they are checked, and where they are cached."""
