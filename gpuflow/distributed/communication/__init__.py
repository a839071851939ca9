"""Where code for Paddle looks for groups of processes."""
