"""What several controllers need, and that no single one owns.

- `claims`: which dependents are an owner's; adoption and release.
- `pods`: active, available, terminating; pods from templates; pods by label.
- `objects`: owner references, conditions and views of answers.
- `discovery`: what the server serves, read from its discovery documents.
- `throttle`: news that may wait a little, told at most once per so many milliseconds.
"""
