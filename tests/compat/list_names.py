"""Print the public names of the Hyperopt that is installed, as JSON: what ``names.json`` holds.

    python tests/compat/list_names.py > tests/compat/names.json

Run it with the Python of a real Hyperopt; it needs nothing else, and imports nothing of Hyperopt:
names are read from the source, so that what else is installed makes no difference.

A public name has no leading underscore and is defined in its module (function, class, assignment),
or re-exported on purpose: what ``__init__`` modules and ``hyperopt.hp`` import from Hyperopt, and
the exceptions in ``hyperopt.base``. Public methods, properties and class attributes of classes are
names, too, and what ``__init__`` puts on the instance. ``hyperopt.pyll.scope`` stands for a module
whose names are the symbols that Hyperopt defines and the methods of the symbol table. Module
loggers are no names of the interface.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import operator
import sys
from importlib.metadata import version
from pathlib import Path

PRIVATE_MODULES = ("tests", "rdists_tests")
#: Modules that exist to gather names: what they import is theirs.
GATHERING = ("hyperopt", "hyperopt.pyll", "hyperopt.hp")
#: What other modules re-export on purpose.
REEXPORTED = {"hyperopt.base": "exceptions"}
#: How Hyperopt registers a symbol of ``scope``.
DEFINERS = ("define", "define_info", "define_pure", "define_if_new", "inject")


def is_public(name):
    return not name.startswith("_") and name != "logger"


def parameters_of(function, *, bound=False):
    """Return the names of a function's parameters as written: ``*args`` and ``**kwargs`` too."""
    spec = function.args
    names = [a.arg for a in (*spec.posonlyargs, *spec.args)]
    names = names[1:] if bound else names
    if spec.vararg:
        names.append("*" + spec.vararg.arg)
    names += [a.arg for a in spec.kwonlyargs]
    if spec.kwarg:
        names.append("**" + spec.kwarg.arg)
    return names


def decorators_of(node):
    for decorator in node.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        yield ast.unparse(target)


def targets_of(node):
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        for part in ast.walk(target):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                yield part.id


def statements(body):
    """Yield the statements of a module or class, those under ``if``, ``try`` and ``with`` too."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With, ast.For)):
            inner = [*node.body, *getattr(node, "orelse", ()), *getattr(node, "finalbody", ())]
            for handler in getattr(node, "handlers", ()):
                inner += handler.body
            yield from statements(inner)


def members_of(klass):
    """Return ``name -> parameters`` of a class, None for what is not called."""
    found = {}
    for node in statements(klass.body):
        if isinstance(node, ast.FunctionDef):
            decorators = set(decorators_of(node))
            if is_public(node.name):
                static = "staticmethod" in decorators
                accessor = any(d == "property" or d.endswith(".setter") for d in decorators)
                found[node.name] = None if accessor else parameters_of(node, bound=not static)
            elif node.name == "__init__":
                for part in ast.walk(node):
                    if (
                        isinstance(part, ast.Attribute)
                        and isinstance(part.ctx, ast.Store)
                        and isinstance(part.value, ast.Name)
                        and part.value.id == "self"
                        and is_public(part.attr)
                    ):
                        found.setdefault(part.attr, None)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            found.update({name: None for name in targets_of(node) if is_public(name)})
    return found


def class_entry(klass):
    initializers = [
        n for n in klass.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"
    ]
    entry = {"kind": "class", "members": members_of(klass)}
    if initializers:
        entry["parameters"] = parameters_of(initializers[0], bound=True)
    return entry


def names_of(module, tree):
    """Return the public names of a module, and the symbols that it defines in ``scope``."""
    found, symbols = {}, {}
    for node in statements(tree.body):
        if isinstance(node, ast.FunctionDef):
            entry = {"kind": "function", "parameters": parameters_of(node)}
            if is_public(node.name):
                found[node.name] = entry
            if any(d.split(".")[-1] in DEFINERS and "scope" in d for d in decorators_of(node)):
                symbols[node.name] = entry
        elif isinstance(node, ast.ClassDef):
            if is_public(node.name):
                found[node.name] = class_entry(node)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for name in targets_of(node):
                if is_public(name):
                    found[name] = {"kind": "value"}
        elif isinstance(node, ast.ImportFrom):
            deliberate = module in GATHERING or (
                node.module is not None and REEXPORTED.get(module) == node.module
            )
            for alias in node.names:
                name = alias.asname or alias.name
                if deliberate and node.level and is_public(name):
                    found[name] = {"kind": "reexport"}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = ast.unparse(node.value.func)
            if called.startswith("scope.") and called.split(".")[-1] in DEFINERS:
                for argument in node.value.args:
                    # the argument is operator.add, say
                    if isinstance(argument, ast.Attribute) and hasattr(operator, argument.attr):
                        symbols[argument.attr] = {"kind": "function"}
    return found, symbols


def text_of(listed):
    """Return the JSON with one line for each name."""
    blocks = []
    for module, names in sorted(listed["modules"].items()):
        rows = [
            f"  {json.dumps(name)}: {json.dumps(entry, sort_keys=True)}"
            for name, entry in sorted(names.items())
        ]
        blocks.append(f" {json.dumps(module)}: {{\n" + ",\n".join(rows) + "\n }")
    head = f'{{"hyperopt": {json.dumps(listed["hyperopt"])}, "modules": {{\n'
    return head + ",\n".join(blocks) + "\n}}\n"


def main():
    root = Path(importlib.util.find_spec("hyperopt").origin).parent
    modules, symbols = {}, {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if set(parts) & set(PRIVATE_MODULES):
            continue
        module = ".".join(("hyperopt", *parts)).removesuffix(".__init__")
        modules[module], defined = names_of(module, ast.parse(path.read_text()))
        symbols.update({name: entry for name, entry in defined.items() if is_public(name)})
    modules["hyperopt.pyll.scope"] = symbols
    for name, parameters in modules["hyperopt.pyll.base"]["SymbolTable"]["members"].items():
        symbols.setdefault(name, {"kind": "function", "parameters": parameters})
    sys.stdout.write(text_of({"hyperopt": version("hyperopt"), "modules": modules}))


if __name__ == "__main__":
    main()
