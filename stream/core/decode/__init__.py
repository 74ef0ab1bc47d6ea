"""Decode: a slice of records becomes column batches and rejections."""
