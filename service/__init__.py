"""Daymark: daily scores in, patterns and recommendations out, each tenant behind a wall of Postgres's own."""
