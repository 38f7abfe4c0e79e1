"""Tables, figures and the report, drawn from the files that the stages leave; nothing here imports torch."""
