"""What a run samples, before anything runs: the prompt, seed and class of each image, the parts, and what they cost."""
