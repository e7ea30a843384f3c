"""Running the HTTP server for a team: limits, health, metrics, logs, traces, several processes, and stopping."""
