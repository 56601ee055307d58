"""The child: the process that opens weights, and has neither token nor network.

It is forked from a server that imported the libraries without any token (`preload`) and enters the sandbox
(`workspace/sandbox/`). Then it loads one generator after the other (`loading`, `adapters`), reusing components of the
previous one (`component_cache`), samples batches (`calling`, `decoding`, `memory`) on its device (`device`), checks
every image (`pixel_checks`, `safety`) and sends accepted images to the supervisor while the next batch is sampled
(`batch_sender`, `outbox`). `loop` is its main function.
"""
