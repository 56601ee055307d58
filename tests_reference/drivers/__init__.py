"""Programs that start the public code in its own environment. They import nothing of this project."""
