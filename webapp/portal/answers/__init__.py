"""Answers to surveys: response rates, distributions, submissions, scores, the codebook and exports."""
