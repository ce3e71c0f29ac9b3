"""What is checked of a configuration, one part each; `check` is all of them."""
