"""How the pipeline grows: memory over a long replay, cost a tick over products, days and workers,
and what it takes until it runs."""
