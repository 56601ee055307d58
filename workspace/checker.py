"""Which safety checker every image passes, unless the user names another one."""

DEFAULT_CHECKER = "CompVis/stable-diffusion-safety-checker@cb41f3a270d63d454d385fc2e4f571c487c253c5"
"""Stable Diffusion's safety checker, at the last commit of its main branch."""
