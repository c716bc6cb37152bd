"""Who asked what, when, and what came of it: the audit log, as the original writes it.

- *policy*: rules in order; the first that fits a request says how much is told of it (its *level*) and which of its
  *stages* are left out. What no rule fits is not told.
- *level*: None, Metadata (who, what, when), Request (also what was sent), RequestResponse (also what was answered).
- *stage*: RequestReceived, ResponseStarted (of answers that go on: watches, streams), ResponseComplete, Panic.
- *trail*: what is known of one request, from its arrival to its end. It is at `Request.trail` while an audit runs;
  whoever learns something that belongs into the log (what was sent, an annotation) tells the trail.
- *event*: one stage of one trail, as a line of JSON (`audit.k8s.io/v1`, kind Event).
- *backend*: where events go: `logfile`, `webhook`. Each has a bounded queue (`queue`); what does not fit is dropped and
  counted (`apiserver_audit_error_total`).

A server without a policy has none of this: `AuditedApplication` takes the place of `Application` only where there is
one. Events are put together and written in a thread, never on the loop.

What does not belong here: deciding anything. An audit that fails refuses nobody.
"""
