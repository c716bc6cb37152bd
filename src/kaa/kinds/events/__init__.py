"""Rules of the events group: `event` has the new form of events, which are stored in the core one."""
