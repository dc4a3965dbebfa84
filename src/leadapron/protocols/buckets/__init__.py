"""Buckets and containers of object stores that the scope names: one file a store, one tree over all."""
