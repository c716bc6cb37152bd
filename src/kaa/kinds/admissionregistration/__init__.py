"""Rules of the admission group.

- `webhooks`: validating and mutating webhook configurations.
- `policies`: validating and mutating admission policies; `bindings`: where they hold.
- `matching`: which requests a webhook or policy is about; `expressions`: the hook for CEL.
"""
