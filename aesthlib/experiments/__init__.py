"""The questions of the study, one file a kind."""
