"""Exports a file as ONNX models, their inputs and a page that plays them; the only package using ONNX."""
