"""The pages of docs/reference: what the code says about itself, asked of the code."""
