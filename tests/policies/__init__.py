"""The policies of the schema that the migrations make, judged by a linter and a prover that know nothing of us."""
