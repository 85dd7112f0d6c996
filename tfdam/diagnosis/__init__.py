"""Finds out what works on this machine, for the doctor's table.

Probes run in separate processes and give facts, from which rows of the table are made. No
module here imports TensorFlow or ONNX Runtime at its top, as they may not work.
"""
