"""What a prediction becomes on disk: masks bent, certainty, probabilities, polygons, areas; arrays in, files out."""
