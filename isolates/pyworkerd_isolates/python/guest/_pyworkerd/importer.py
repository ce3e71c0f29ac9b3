"""Imports without a file system: the standard library from a pack in memory, a worker's modules from its bundle.

There are no files at run time. When the engine is built the interpreter's library is mounted under `/python`; `pack`
compiles all of it then, and keeps the compressed code. Later imports unpack it from memory.
"""

import marshal
import sys
import zlib
from importlib.machinery import ModuleSpec

from . import files

LIBRARY = "/python"
SKIPPED = frozenset(("test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data", "turtle", "venv"))
"""Parts that cannot work here: they need a screen, an installer, or exist to test the interpreter itself."""


def pack(os):
    """Compile and compress the library under `/python`. Build time only. Returns {module name: (is package, code)}."""
    packed = {}
    for folder, folders, names in os.walk(LIBRARY):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("__"))
        for name in sorted(names):
            if not name.endswith(".py") or name[:-3] in SKIPPED:
                continue
            path = f"{folder}/{name}"
            module = path[len(LIBRARY) + 1 : -3].replace("/", ".")
            is_package = module.endswith(".__init__")
            with open(path, "rb") as source:
                try:
                    code = compile(source.read(), path, "exec", dont_inherit=True)
                except SyntaxError:
                    continue
            packed[module.removesuffix(".__init__")] = (is_package, zlib.compress(marshal.dumps(code), 6))
    return packed


class LibraryFinder:
    """The standard library, from the pack."""

    def __init__(self, packed):
        self.packed = packed

    def find_spec(self, name, path=None, target=None):
        found = self.packed.get(name)
        if found is None:
            return None
        origin = f"{LIBRARY}/{name.replace('.', '/')}" + ("/__init__.py" if found[0] else ".py")
        spec = ModuleSpec(name, self, origin=origin, is_package=found[0])
        spec.has_location = True
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name):
        return marshal.loads(zlib.decompress(self.packed[name][1]))

    def get_source(self, name):
        return None

    def is_package(self, name):
        return self.packed[name][0]


class BundleFinder:
    """Modules below one folder of the bundle. It reads what `files` holds, so a worker sees one and the same tree."""

    def __init__(self, root):
        self.root = root

    def _locate(self, name):
        path = f"{self.root}/{name.replace('.', '/')}"
        if files.is_file(f"{path}/__init__.py"):
            return f"{path}/__init__.py", True
        if files.is_file(f"{path}.py"):
            return f"{path}.py", False
        return None

    def find_spec(self, name, path=None, target=None):
        found = self._locate(name)
        if found is None:
            folder = f"{self.root}/{name.replace('.', '/')}"
            if not files.is_folder(folder):
                return None
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [folder]
            return spec
        spec = ModuleSpec(name, self, origin=found[0], is_package=found[1])
        spec.has_location = True
        if found[1]:
            spec.submodule_search_locations = [found[0].removesuffix("/__init__.py")]
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name):
        path = self.get_filename(name)
        return compile(files.read(path), path, "exec", dont_inherit=True)

    def get_filename(self, name):
        found = self._locate(name)
        if found is None:
            raise ImportError(f"no module named {name!r} in the bundle", name=name)
        return found[0]

    def get_source(self, name):
        import tokenize
        from io import BytesIO

        data = files.read(self.get_filename(name))
        encoding = tokenize.detect_encoding(BytesIO(data).readline)[0]
        return data.decode(encoding)

    def get_data(self, path):
        return files.read(path)

    def is_package(self, name):
        found = self._locate(name)
        return found is not None and found[1]

    def get_resource_reader(self, name):
        from .resources import Reader

        return Reader(self.get_filename(name).rsplit("/", 1)[0])


def install(packed):
    """Make the pack the only library there is. Build time."""
    from importlib.machinery import BuiltinImporter, FrozenImporter

    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, LibraryFinder(packed)]
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()
    sys.path[:] = [LIBRARY]


def add_bundle(root):
    """Let a worker's own modules be imported: its folder first, the library next, `python_modules` last."""
    vendored = f"{root}/python_modules"
    sys.path[:] = [root, LIBRARY, vendored]
    sys.meta_path.insert(2, BundleFinder(root))
    sys.meta_path.append(BundleFinder(vendored))
