"""Rules of storage: volumes, the claims on them, their classes and drivers."""
