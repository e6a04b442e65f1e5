"""The examples of other systems written for fexp; ``originals`` has what they are, in their own way."""
