"""Results on disk: records, checkpoints, files."""
