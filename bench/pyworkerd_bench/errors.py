"""What can go wrong in a benchmark run, as one type."""


class BenchError(Exception):
    """A contestant could not be built, started or asked; the sentence says which and why.

    Its figures are left out.
    """
