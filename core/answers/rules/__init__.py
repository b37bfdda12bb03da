"""Rules about answers without models: wordings, scores, names of variables."""
