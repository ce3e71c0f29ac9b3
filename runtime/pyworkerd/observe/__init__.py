"""What the operator gets to see: worker logs."""
