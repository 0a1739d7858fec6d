"""Segments as jobs, fitted in this process, in local processes or on a Ray cluster."""
