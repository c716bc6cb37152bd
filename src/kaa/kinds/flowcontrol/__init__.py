"""Rules of flow control.

- `schema`: FlowSchemas, which requests belong to which priority level; `level`: PriorityLevelConfigurations.
- `fixed`: the few of both that may not be changed; `status`: what their conditions have in common.
"""
