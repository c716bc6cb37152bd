"""What measurements share: a server in a process of its own, a plain TLS server to compare with, and load."""
