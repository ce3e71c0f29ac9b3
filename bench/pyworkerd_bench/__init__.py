"""The benchmark suite: every claim of the project, measured beside its peers in one run."""
