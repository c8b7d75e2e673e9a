"""Where pages come from: a folder of files, a website, the built-in field guide."""
