"""Fetching ahead: fills a weight store on a shared file system for `cf-sample --offline`, where there is internet."""
