"""What the examples do without fexp, written from their descriptions: as short as their ways allow."""
