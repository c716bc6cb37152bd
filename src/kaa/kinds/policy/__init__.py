"""Rules of the groups that govern others: budgets, autoscalers, priorities, leases, flow control, extensions."""
