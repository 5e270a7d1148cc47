"""An app of the tests alone: `flush`, with which Django cleans up after each test that commits, only much faster."""
