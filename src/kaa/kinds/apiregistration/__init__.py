"""Rules of the API registration group: `apiservice` has the APIServices."""
