"""Why a run failed or crashed, from its state, its task runs and the end of its log."""
