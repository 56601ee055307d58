"""The join of samples, catalogue and prompts into the manifest's rows, with DuckDB and in bounded memory.

`sample_batches` gives the samples, whole generators at a time; `duplicates` finds equal images; `join` makes the rows
of generated images and `real_images` those of real ones; `row_writer` writes them. `relations` names the tables that
they share.
"""
