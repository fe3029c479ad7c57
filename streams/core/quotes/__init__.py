"""From quotes of single contracts to option chains."""
