"""Forwards to Bazel 4's native Java rules, so that nothing has to be fetched."""

java_binary = native.java_binary
java_import = native.java_import
java_library = native.java_library
java_test = native.java_test
java_runtime = native.java_runtime
java_toolchain = native.java_toolchain
