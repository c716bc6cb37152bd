"""Rules of the policy group: `budget` has the PodDisruptionBudgets."""
