"""A Hugging Face Hub on this disk, for the demo, for the tests, and for clusters without internet.

A directory is served over HTTP so that unmodified clients (huggingface_hub, `hf`, diffusers, transformers,
datasets, pandas) take it for the Hub when `HF_ENDPOINT` names it. `store` is the directory, `facts` what the Hub
reads out of a repository's files, `listing` the index behind `/api/models`, `views` what an endpoint says, `app`
which endpoints there are, `uploads` how files come in, `faults` how a test makes the network fail.
`docs/localhub.md` is the page for people who use it.
"""
