"""What is installed beside the program: the cron file, the units and the pieces of system configuration."""
