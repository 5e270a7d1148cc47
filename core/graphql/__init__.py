"""What every app's `graphql.py` is made of: how a query is read, limited, run, answered and paged."""
