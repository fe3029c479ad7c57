"""Where a replay's records come from: files, topics, raw payloads, other namespaces."""
