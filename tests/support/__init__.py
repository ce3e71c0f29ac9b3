"""docs/support.md: what it is made of, and the test that asks the code."""
