"""The pages of `docs` whose figures are computed: `python -m docs.generate` writes them again."""
