"""One call and its answer: rows as bytes, a document, a file, a write, metainfo."""
