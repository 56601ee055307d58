"""The live page of a run, `cf-status --serve`: the status, the newest images, and metrics for Prometheus.

`snapshots` looks at the workspace, not more often than asked and only when somebody asks; `newest_images` finds images
in the rows of the generators that are sampled; `app` answers requests and `metrics` those of Prometheus; `serve` runs
it. Nothing is written, and what a request names is never a path.
"""
