"""What an object is. Pure: no loop, no clock, no I/O beyond reading the package's own tables.

- `spec`: `KindSpec`, everything the server asks of a kind; `Rules`, what one kind says beyond its tables.
- `registry`: `Registry` of the kinds served; `builtin()` makes the one of the stable groups of v1.36.
- `tables`: the tables derived from the published documents (`data/`), as `Schema` nodes and resources.
- `structure`: a `Schema` compiled to closures: check and canonicalise, prune, default, require.
- `duplicates`: fields that stand twice in a body.
- `metadata`: what is validated of every object, whatever its kind.
- `storage`: where each kind lives in the store, and the few kinds stored under another version than served.
- `columns`: what the columns of tables are about.
- `rules`: which module holds the rules of which kind.
- `checks`, `formats`, `scalars`: what many kinds share of validation; `printing`, `row`: of table cells.
- `core/`, `apps/`, `batch/`, ...: a module per kind (or few) that has rules of its own.
- `views/`: typed, read-only views for the parts that consume objects.

A kind with no rules of its own is only rows in the tables. What a controller does about an object does not belong here.
"""
