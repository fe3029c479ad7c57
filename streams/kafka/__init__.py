"""Whatever talks to Kafka outside the engine: settings, admin, records of a topic, answers."""
