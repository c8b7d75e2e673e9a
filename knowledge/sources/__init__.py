"""Where pages come from: a folder of files, a website, a GitHub repository, the built-in field guide."""
