"""A Prefect server with a week of simulated history, to see what an operator sees (OPS-22).

Nothing is processed. The flows' own code runs against a clock, phones, a database and a store that are made up
(`stage`, `phones`, `upkeep`), so that names, states, messages, logs and artifacts are what the flows really write.
`week` says what happens when, `fill` writes it into the server's database, `pictures` takes screenshots with Chromium.
"""
