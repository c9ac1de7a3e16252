"""What the methods compute with: solvers of their problems, linear algebra on small batches, random streams, Adam."""
