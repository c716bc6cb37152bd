"""Admission by expressions: policies that refuse (validating) or change (mutating) what is written.

- A **policy** says what must hold, or what is to be changed; it does nothing until a **binding** says where.
- A **parameter** is any object; a policy runs once for each one that its binding refers to.
- An **invocation** is a policy with a binding and a parameter (or none) for one write.
- A policy or binding that cannot be used (no parameters, an unknown kind) is **misconfigured**; as with an expression
  that fails, the policy's failurePolicy decides what becomes of the write.

`source` compiles policies and bindings once per revision and finds those that are about a write; `validating` and
`mutating` run them; `patches` carries out what a mutating expression answers.
"""

from kaa.server.admission.policies.mutating import MutatingAdmissionPolicy
from kaa.server.admission.policies.validating import ValidatingAdmissionPolicy

__all__ = ["MutatingAdmissionPolicy", "ValidatingAdmissionPolicy"]
