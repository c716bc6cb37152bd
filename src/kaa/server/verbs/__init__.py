"""What the server does when it is asked: one module per kind of answer.

`reads` (get, list), `watches`, `writes` (create, update), `patches`, `deletions`; `bodies` reads what came with the
request, and `change` is the read-modify-write loop that updates, patches and subresources share.
"""
