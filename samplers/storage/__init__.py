"""Storing what generators make: batches as they come, parts when they are complete, and what is damaged once more.

Only the supervisor writes here. Several processes may sample the same generator, against their will: one that was
stopped and comes back, or two runs by mistake. So nothing is put over a file of another process that is whole. A batch
becomes a folder by one renaming, a part and an image by one link: the first one counts, and who comes later compares.
"""
