"""The REST API: newest values from Redis, history from MongoDB.

``app.create_app`` makes the application, ``server.serve`` runs it. Routes and errors: docs/api.md.
"""
