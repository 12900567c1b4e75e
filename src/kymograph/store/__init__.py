"""Everything that knows a file's bytes: the journal, the formats made from it, the catalog over them."""
