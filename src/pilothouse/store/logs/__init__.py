"""The log store itself: write-ahead log, head, segments, minimizers, manifest, merge, reader."""
