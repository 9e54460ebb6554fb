"""Numbers that change: a small language of expressions, evaluated by simpleeval.

All numbers are floats, so that no value grows without bound. A text is checked before it is
evaluated, and an error message shows a mistake with a caret under its place.
"""

from __future__ import annotations

import ast
import hashlib
import math
import operator
import re
import struct
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import simpleeval

from dreamvid.errors import ConfigError, shown

LONGEST = 10_000
"""Largest number of characters of an expression."""
LONGEST_NUMBER = 300
"""Largest number of characters of a number that is read without Python's parser."""
SHOWN = 36
"""Number of characters that an error message shows on each side of a mistake."""
CONSTANTS = {"pi": math.pi, "tau": math.tau, "e": math.e}


@dataclass(frozen=True)
class Text:
    """Part of a user's text; its errors point to a character of the whole text."""

    option: str
    """The option that holds the text, for example `--set strength`."""
    whole: str
    begin: int = 0
    end: int | None = None

    def __str__(self) -> str:
        return self.whole[self.begin : self.end]

    def part(self, begin: int, end: int) -> Text:
        """The part from `begin` to `end`, counted in this part, without blanks at its ends."""
        inner = str(self)[begin:end]
        left = begin + len(inner) - len(inner.lstrip())
        right = max(left, begin + len(inner.rstrip()))
        return Text(self.option, self.whole, self.begin + left, self.begin + right)

    def error(self, message: str, at: int = 0) -> ConfigError:
        """An error about character `at` of this part, with a caret under it."""
        place = self.begin + at
        first, last = max(0, place - SHOWN), place + SHOWN
        shown = "".join(" " if c.isspace() else c for c in self.whole[first:last])
        before = "…" if first else ""
        after = "…" if last < len(self.whole) else ""
        caret = " " * (len(before) + place - first) + "^"
        return ConfigError(f"{self.option}: {message}", excerpt=f"{before}{shown}{after}\n{caret}")


@dataclass(frozen=True)
class Function:
    """A function that expressions may call, with `least` to `most` arguments."""

    call: Callable[..., float]
    least: int = 1
    most: int = 1


def clamp(x: float, low: float = 0.0, high: float = 1.0) -> float:
    return min(max(x, low), high)


def ease(x: float) -> float:
    """Smoothstep: rises from 0 to 1 for x from 0 to 1, slowly at both ends."""
    x = clamp(x)
    return x * x * (3 - 2 * x)


def ease_in(x: float) -> float:
    """Cubic: rises from 0 to 1 for x from 0 to 1, slowly at the beginning."""
    return clamp(x) ** 3


def ease_out(x: float) -> float:
    """Cubic: rises from 0 to 1 for x from 0 to 1, slowly at the end."""
    return 1 - (1 - clamp(x)) ** 3


def pulse(x: float, sharpness: float = 4.0) -> float:
    """Pulse: 1 at whole numbers, then exponential decay; `pulse(beat)` peaks on each beat."""
    return math.exp(-sharpness * (x % 1.0))


def triangle(x: float) -> float:
    """Triangle wave: 0 at whole numbers, 1 halfway between them."""
    return 1 - abs(2 * (x % 1.0) - 1)


def noise(x: float, stream: float = 0.0, *, seed: int = 0) -> float:
    """Value noise in [0, 1]: random and independent at whole numbers, eased between them."""
    whole = math.floor(x)
    first, second = (_uniform(seed, int(stream), whole + step) for step in (0, 1))
    return first + ease(x - whole) * (second - first)


def _uniform(seed: int, stream: int, index: int) -> float:
    """A hash of the three numbers in [0, 1), the same on every machine."""
    key = struct.pack("<QQQ", *(number % 2**64 for number in (seed, stream, index)))
    return int(struct.unpack("<Q", hashlib.blake2b(key, digest_size=8).digest())[0]) / 2**64


FUNCTIONS = {
    **{name: Function(getattr(math, name)) for name in ("sin", "cos", "tan", "sinh", "cosh")},
    **{name: Function(getattr(math, name)) for name in ("tanh", "exp", "sqrt", "log10", "log1p")},
    "asin": Function(math.asin),
    "acos": Function(math.acos),
    "atan": Function(math.atan),
    "atan2": Function(math.atan2, 2, 2),
    "log": Function(math.log, 1, 2),
    "expm1": Function(math.expm1),
    "abs": Function(abs),
    "floor": Function(lambda x: float(math.floor(x))),
    "ceil": Function(lambda x: float(math.ceil(x))),
    "round": Function(lambda x: float(round(x))),
    "sign": Function(lambda x: float((x > 0) - (x < 0))),
    "min": Function(min, 2, 9),
    "max": Function(max, 2, 9),
    "pow": Function(math.pow, 2, 2),
    "where": Function(lambda condition, then, other: then if condition else other, 3, 3),
    "clamp": Function(clamp, 1, 3),
    "lerp": Function(lambda a, b, x: a + (b - a) * x, 3, 3),
    "ease": Function(ease),
    "ease_in": Function(ease_in),
    "ease_out": Function(ease_out),
    "pulse": Function(pulse, 1, 2),
    "saw": Function(lambda x: x % 1.0),
    "square": Function(lambda x: float(x % 1.0 < 0.5)),
    "triangle": Function(triangle),
    "noise": Function(noise, 1, 2),
}
# The names of numexpr, which evaluates Deforum's strings.
FUNCTIONS |= {f"arc{name[1:]}": FUNCTIONS[name] for name in ("asin", "acos", "atan")}
FUNCTIONS["arctan2"] = FUNCTIONS["atan2"]


def _invert(x: float) -> float:
    return not x if isinstance(x, bool) else ~int(x)


OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.BitAnd: lambda a, b: int(a) & int(b),
    ast.BitOr: lambda a, b: int(a) | int(b),
    ast.Invert: _invert,
}
NUMEXPR_OPERATORS = OPERATORS | {ast.Mod: math.fmod}  # the remainder has the dividend's sign

_NODES = (ast.Name, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call)
_WORDS: dict[type[ast.AST], str] = {
    ast.Attribute: "a dot behind a name",
    ast.Subscript: "an index",
    ast.Lambda: "a function of one's own",
    ast.NamedExpr: "an assignment",
    ast.Starred: "a star",
    ast.keyword: "a named argument",
    ast.BitXor: "the operator ^; a power is **",
    ast.LShift: "a shift",
    ast.RShift: "a shift",
}


class Expression:
    """A checked expression `text` in the variables `names`. Raises ConfigError with a caret.

    `seed` is the seed of its noise. `numexpr` selects Deforum's remainder, which has the sign of
    the dividend. `unknown` maps variables that exist but are not available here to the reason.
    """

    def __init__(
        self,
        text: Text,
        names: Collection[str],
        *,
        seed: int = 0,
        numexpr: bool = False,
        unknown: Mapping[str, str] | None = None,
    ) -> None:
        self.text = text = text.part(0, len(str(text)))
        self.number = _plain_number(text)
        """The value of a text that is a plain number; None for any other text."""
        self.names: set[str] = set()
        self._operators = NUMEXPR_OPERATORS if numexpr else OPERATORS
        self._functions: dict[str, Callable[..., float]] = {}
        if self.number is not None:  # long rows of key frames hold little else
            self._tree: ast.expr = ast.Constant(self.number)
            return
        tree = _parse(text)
        _check(tree, text, {*names, *CONSTANTS}, unknown or {})
        self._tree = tree.body
        self.names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        self._functions |= {name: function.call for name, function in FUNCTIONS.items()}
        self._functions["noise"] = partial(noise, seed=seed)

    def __call__(self, variables: Mapping[str, float]) -> float:
        """The value for these variables. Raises ConfigError unless it exists and is finite."""
        names = CONSTANTS | dict(variables)
        evaluation = _Evaluation(names, self._operators, self._functions)
        try:
            value = float(evaluation.eval(str(self.text), previously_parsed=self._tree))
        except ZeroDivisionError:
            raise self.text.error("division by 0") from None
        except OverflowError:
            raise self.text.error("the value is too large") from None
        except (ValueError, TypeError):
            raise self.text.error("a function has no value for its argument") from None
        except RecursionError:
            raise self.text.error("this is nested too deeply") from None
        if not math.isfinite(value):
            raise self.text.error(f"the value is {value}, which is no number")
        return value


class _Evaluation(simpleeval.SimpleEval):  # type: ignore[misc]
    """simpleeval's evaluator for one call, so that calls in different threads share nothing.

    SimpleEval's constructor is not called: it builds a table of handlers for each evaluator and
    meanwhile changes the warning filters of the whole process.
    """

    _HANDLERS: ClassVar[Mapping[type[ast.AST], Callable[..., float]]] = {
        ast.Constant: lambda _, node: float(node.value),
        ast.Name: simpleeval.SimpleEval._eval_name,
        ast.UnaryOp: simpleeval.SimpleEval._eval_unaryop,
        ast.BinOp: simpleeval.SimpleEval._eval_binop,
        ast.BoolOp: simpleeval.SimpleEval._eval_boolop,
        ast.Compare: simpleeval.SimpleEval._eval_compare,
        ast.IfExp: simpleeval.SimpleEval._eval_ifexp,
        ast.Call: simpleeval.SimpleEval._eval_call,
    }

    def __init__(
        self,
        names: Mapping[str, float],
        operators: Mapping[type[ast.AST], Callable[..., float]],
        functions: Mapping[str, Callable[..., float]],
    ) -> None:
        self.names, self.operators, self.functions = names, operators, functions

    def _eval(self, node: ast.AST) -> float:
        return self._HANDLERS[type(node)](self, node)


def _plain_number(text: Text) -> float | None:
    """The value of a plain number. Raises ConfigError where that is too large for a float."""
    word = str(text)
    if len(word) > LONGEST_NUMBER:
        return None
    if re.fullmatch(r"[+-]?[\d_]*\.?[\d_]*(e[+-]?\d+)?", word, re.ASCII | re.IGNORECASE) is None:
        return None
    try:
        number = float(word)
    except ValueError:
        return None
    if not math.isfinite(number):
        raise text.error(f"the value is {number}, which is no number")
    return number


def _parse(text: Text) -> ast.Expression:
    source = str(text).replace("\n", " ")
    if not source.strip():
        raise text.error("an expression is missing; allowed: a number, or as 0.1 + 0.3*bass")
    if len(source) > LONGEST:
        raise text.error(f"{len(source)} characters are too many; allowed: up to {LONGEST}")
    try:
        with warnings.catch_warnings(action="ignore"):  # Python's, about its own style
            return ast.parse(source, mode="eval")
    except SyntaxError as error:
        reason = error.msg.split(" (")[0].split(". ")[0].strip()
        at = min((error.offset or len(source)) - 1, len(source) - 1)  # Python reports the end as 0
        raise text.error(f"this cannot be read: {reason}", at) from None
    except (MemoryError, RecursionError):
        raise text.error("this is nested too deeply") from None
    except ValueError:
        raise text.error("this holds characters that are no text; allowed: Unicode") from None


def _check(tree: ast.Expression, text: Text, names: set[str], unknown: Mapping[str, str]) -> None:
    """Raise ConfigError at the first node that is not arithmetic on known names."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree.body):
        at = _place(node, text)
        if isinstance(node, ast.Call):
            _check_call(node, text, at)
        elif isinstance(node, ast.Name):
            if id(node) not in called and node.id not in names:
                reason = unknown.get(node.id) or _unknown("name", node.id, names)
                raise text.error(reason, at)
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, bool) or not isinstance(node.value, int | float):
                raise text.error(f"{shown(repr(node.value))} is not allowed; allowed: numbers", at)
        elif not isinstance(node, (*_NODES, *OPERATORS, ast.And, ast.Or, ast.Load)):
            what = _WORDS.get(type(node), "this")
            if isinstance(node, ast.operator | ast.unaryop | ast.cmpop):
                raise text.error(f"{what} is not allowed; allowed: + - * / // % ** and comparisons")
            raise text.error(f"{what} is not allowed; allowed: arithmetic and functions", at)


def _check_call(node: ast.Call, text: Text, at: int) -> None:
    if not isinstance(node.func, ast.Name):
        raise text.error("only functions are called; allowed: arithmetic and functions", at)
    function = FUNCTIONS.get(node.func.id)
    if function is None:
        raise text.error(_unknown("function", node.func.id, FUNCTIONS), at)
    if not function.least <= len(node.args) <= function.most:
        span = {function.least, function.most}
        allowed = " to ".join(map(str, sorted(span)))
        raise text.error(f"{node.func.id} is given {len(node.args)} values; allowed: {allowed}", at)


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    return f"unknown {what} '{shown(name)}'; allowed: {', '.join(sorted(known))}"


def _place(node: ast.AST, text: Text) -> int:
    """Index of the character at which a node begins; Python counts in bytes."""
    source: Any = str(text).encode()
    return len(source[: getattr(node, "col_offset", 0)].decode())
