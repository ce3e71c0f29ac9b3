"""Scripts behind what was tuned: each says what it measures and what came of it."""
