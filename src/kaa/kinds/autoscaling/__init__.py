"""Rules of the autoscaling group.

- `autoscaler`: HorizontalPodAutoscalers in both versions; `metrics`: what they look at; `shown`: how tables show that.
- `conversion`: autoscaling/v1 from and to v2, which is stored.
- `scale`: the body of `/scale`.
"""
