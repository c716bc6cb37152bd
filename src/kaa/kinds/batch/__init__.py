"""Rules of the batch group: work that ends."""
