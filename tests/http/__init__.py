"""The HTTP output, over real sockets."""  # noqa: A005 - only ever imported as tests.http
