"""`snerv` and `snerv-t`: spectra-preserving networks."""
