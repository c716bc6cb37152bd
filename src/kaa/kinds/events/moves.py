"""The two forms of events differ by the names of these fields."""

__all__ = ["MOVES"]

#: What the new form calls a field -> what the core form does. Problems name the fields of the core form.
MOVES = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
