"""The join of bars and option chains into rows of features. Rules: docs/features.md."""
