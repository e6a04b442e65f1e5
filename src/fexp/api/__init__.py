"""What programs import from ``fexp``: thin, over the settings, the engine and the outputs of the command line."""
