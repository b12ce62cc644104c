"""What the examples of whole networks share."""
