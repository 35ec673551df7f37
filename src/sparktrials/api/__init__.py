"""What users call: arguments in, the study run, results out."""
