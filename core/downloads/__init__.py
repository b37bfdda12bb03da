"""Downloads: the chunks that a request selects, and their names in the zip (DATA-20 to DATA-25)."""
