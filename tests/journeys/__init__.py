"""What a new user with one workstation wishes for: a wish is a test, and takes at most three commands."""
