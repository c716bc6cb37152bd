"""Bytes over connections: the only place that names an HTTP library. It knows no Kubernetes words but `Status`.

- `api`: what a request and the three kinds of answer are, and what a `Transport` (a client) does. Import these types
  from `kaa.http.api`; everything else here is machinery behind them.
- `serve`: a listener that hands requests to one `Handler`. An answer given without awaiting costs no task. `door` lets
  TLS connections in, `server_protocol` is one connection, `reading` makes requests of bytes, `answering` the reverse.
- `call`: `Caller`, a client for one base URL with a bounded pool of connections.
- `inprocess`: the same client interface straight against a `Handler`, without sockets.
- `transport`: what those two share.
- `spdy`: SPDY/3.1 as Kubernetes streams use it, both sides, on a raw `Connection`.
- `websocket`: RFC 6455, both sides, on a raw `Connection`.
- `tls`: certificates of a server (reloadable) and of a client.
- `loop`: running a program on uvloop.

Words: a *handler* turns a `Request` into an `Answer`; an *answer* is a `Response` (all of it at hand), a
`StreamingResponse` (written over time) or an `Upgrade` (the connection's raw bytes from then on); a *frame* is one
chunk of chunked transfer coding, made once and shared by all who watch the same thing.

What does not belong here: authentication, routing, object encoding, retries of failed requests (only a request that
met a stale pooled connection is sent again).
"""
