"""What participants answered: read from the files of both apps to one form (CLAR-56)."""
