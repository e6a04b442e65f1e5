"""What programs import from fexp."""
