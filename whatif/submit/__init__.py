"""Hands a study to a Spark that runs elsewhere, follows it and fetches what came of it."""
