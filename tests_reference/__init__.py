"""The public code of detectors, unmodified, on what this project publishes and exports: `make test-reference`.

That code is not part of the project. It runs in an environment of its own and in processes of its own; `drivers`
replaces from outside what needs a GPU, a download or a module that it lacks.
"""
