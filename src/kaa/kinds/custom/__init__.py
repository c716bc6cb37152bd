"""Kinds that users define: from a CustomResourceDefinition to the same `KindSpec` that built-in kinds have.

- `definition`: the rules of the kind CustomResourceDefinition itself: defaults, names, versions, subresources, columns.
- `structural`: what a schema must be to be structural, and which of its words are served.
- `schema`: the schema as the node that merging and ownership need (`kaa.meta.schema`), and the walks over values:
  prune, drop nulls, fill in defaults.
- `versions`: the rules of a definition's versions; `defaults` and `rulechecks` those of what their schemas hold.
- `values`: whether a value satisfies its schema, in the wording clients know; unchanged parts are forgiven on update.
- `formats`, `patterns`: the named formats of strings, and the expressions they match.
- `lists`: sets and maps hold nothing twice. `embedded`: objects within objects. `checked`: all checks of a write.
- `expressions`: validation rules in CEL, compiled and run.
- `acceptance`: whether a definition's names are free, and what its status says.
- `paths`: the small JSON paths of columns, selectable fields and scale.
- `kind`: all of it together, as a KindSpec per served version.
"""
