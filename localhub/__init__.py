"""A Hugging Face Hub on this disk, for the demo, for the tests, and for clusters without internet.

It serves a directory over HTTP, so that unmodified clients (huggingface_hub, `hf`, diffusers, transformers, datasets,
pandas) use it as the Hub when `HF_ENDPOINT` names it. See docs/localhub.md.

    app, views, web         the endpoints, the JSON they answer, and HTTP
    store, records, blobs   the repositories on disk
    metadata, card           the metadata that the Hub derives from a repository's files
    listing                 the index of `/api/models`
    uploads                 how files are uploaded
    access, limits          tokens, gates, rate limits
    faults, request_log     for tests: network failures, and a log of the requests
    serve, process, cli     the server, as a child process, and the command line
"""
