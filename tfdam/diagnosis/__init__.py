"""What works on this machine: probes in processes of their own -> facts -> rows of a table.

Before TensorFlow or ONNX Runtime is trusted to work nothing here imports them at its top.
"""
