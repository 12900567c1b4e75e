"""What was recorded: listed, read, reduced, exported, mirrored."""
