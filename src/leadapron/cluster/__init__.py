"""One run by several workers: the store says who does what, Dask brings the workers to it."""
