"""A participant whose days are known, through the whole path of a Forest task; what is measured against what is true.

`python -m tests.forest_truth` prints the table.
"""
