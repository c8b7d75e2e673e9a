"""Why a run is late, stuck or failed, worked out from what Prefect's API tells, with no model."""
