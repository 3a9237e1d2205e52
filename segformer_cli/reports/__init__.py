"""Reports as one HTML file each, made of parts that know nothing of what they show."""
