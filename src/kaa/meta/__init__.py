"""The grammar of the API, without its vocabulary: what is true of every object, whatever its kind. Pure.

- `resource`: group, version, kind and plural of a type; where its objects live in URLs.
- `errors`: `StatusError`, the one error that becomes a `Status` on the wire, and its constructors by reason.
- `problems`: field paths and the problems validation yields, in the API's wording.
- `schema`: the node that describes a field: its type, defaults, list type and merge keys.
- `quantity`: `100m`, `2Gi` as exact numbers.
- `selectors`: label and field selectors, parsed once and matched often.
- `names`: what may be a name, a label, a key or a port.
- `patch`: JSON patch and merge patch; `strategic`: the merge that knows which lists are maps.
- `fieldset`: sets of field paths. What a schema makes of values: `typed` (does one fit, which fields does it set, what
  tells a list's items apart), `wholes` (the set of one that appears, compiled), `comparing` (how two differ),
  `merging` (two as one, one without some fields).
- `ownership`: who set which field, kept on every write; `managed`: server-side apply, which reads it; `scaling`: the
  same seen from an object's `scale`.
- `gotext`, `unstructured`: values and misfits as the original's messages print them.

No kind is named here, nothing does I/O, and nothing knows what time it is: callers pass the time in.
"""
