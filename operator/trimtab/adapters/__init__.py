"""All input and output, one module or a few for each outside system."""
