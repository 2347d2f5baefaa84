"""The nouns of the product: immutable, annotated, without I/O."""
