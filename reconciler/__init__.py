"""Keeps a fleet of Azure OpenAI accounts exactly as its YAML says."""
