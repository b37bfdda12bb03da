"""Downloads: which chunks a request asks for, and under which names they come (DATA-20 to DATA-25)."""
