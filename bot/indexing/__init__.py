"""Building the knowledge base: beside the running bot, on a schedule, on a worker, by command."""
