"""Rules of the scheduling group: `priority` has the PriorityClasses."""
