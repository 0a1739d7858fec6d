"""Exports a file as ONNX models with their inputs, and a page that plays them; the only user of ONNX."""
