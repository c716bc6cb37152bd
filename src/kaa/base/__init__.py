"""The floor everything stands on: time, chance, tasks, retry, log. No Kubernetes words.

- `clock`: what time it is, and waiting. The only door to time.
- `ids`: random names and identifiers. The only door to chance.
- `tasks`: starting concurrent work, and not losing its errors. The only door to task creation.
- `retry`: how long to wait before trying again.
- `log`: one line per event, with its fields.

What belongs here has no opinion about clusters; anything that names a pod does not.
"""
