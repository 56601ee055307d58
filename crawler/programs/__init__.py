"""Generators that are no pipeline of diffusers (`cf-add`): a Python module with one function, TorchScript, torch.export
or ONNX, of which a TOML file says how they are called.

Their files are hashed and listed here; nothing of them is opened or run. That is done in the sampling process
(`samplers/child/programs.py`).
"""
