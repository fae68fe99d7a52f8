"""Single calls and their responses: rows as bytes, documents, files, writes and metainfo."""
