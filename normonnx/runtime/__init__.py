"""ONNX Runtime: what the installed one takes, sessions, processes of their own, the library.

`installed` says what it takes without loading it; `extensions` and `library` are about operators
that are not its own; `sessions` runs a model, `isolation` does so in a process apart, `hosting`
chooses between them.
"""
