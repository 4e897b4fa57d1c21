"""What is wrong with a request, in the shape in which Stripe says it. Where it is found out never enters this room."""

from __future__ import annotations

from typing import Any

__all__ = ["Problem"]


class Problem(Exception):
    """An answer that is an error: the ``status`` of HTTP, and the rest for ``body()``."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.type = type
        self.code = code
        self.param = param

    def body(self) -> dict[str, Any]:
        """``{"error": {"type", "message", "code", "param", "doc_url"}}``, without those that say nothing."""
        error = {"type": self.type, "message": self.message, "code": self.code, "param": self.param}
        if self.code is not None:
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        return {"error": {name: value for name, value in error.items() if value is not None}}
