"""One tree of settings: what the command line and config files say, made whole and valid, or refused with one line."""
