"""Public helpers for tests: real implementations without the outside world."""
