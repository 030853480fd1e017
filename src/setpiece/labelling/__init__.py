"""Photos -> labels -> a detector, in one sitting: a server for a page that labels, and a trainer beside it.

The process that serves imports no torch, so that it starts at once and answers while the other one trains. It needs
FastAPI and uvicorn: the extra `serve`.
"""
