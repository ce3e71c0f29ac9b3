"""Imports without a file system: the standard library from a pack in memory, a worker's modules from its bundle.

There are no files at run time. When the engine is built the interpreter's library is mounted under `/python`; `pack`
compiles all of it then, and keeps the compressed code. Later imports unpack it from memory.
"""

import marshal
import sys
import zlib
from importlib.machinery import ModuleSpec

from . import entropy, files, resources

LIBRARY = "/python"
SKIPPED = frozenset(
    ("test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data", "turtle", "venv")
)
"""Parts that cannot work here: they need a screen, an installer, or exist to test the interpreter itself."""


KEYED = "multiprocessing.process"
"""The one module of the library that draws a key when it is imported: for pipes between processes, of which there are
none here. It gets a key of zeros, so that it can be imported at a worker's top level."""


def pack(os):
    """Compile and compress the library under `/python`. Build time only. Returns {module name: (is package, code)}."""
    packed = {}
    for folder, folders, names in os.walk(LIBRARY):
        folders[:] = sorted(
            name for name in folders if name.isidentifier() and name not in SKIPPED | {"__pycache__"}
        )
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
        code = self.get_code(module.__name__)
        if module.__name__ == KEYED:
            with entropy.pretended():
                exec(code, module.__dict__)
        else:
            exec(code, module.__dict__)
            if module.__name__ == "sqlite3.dbapi2":
                entropy.replace_sqlites(module)

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

    def find_spec(self, name, path=None, target=None):
        tail = name.rpartition(".")[2]
        for folder in (self.root,) if path is None else path:
            for file, is_package in ((f"{folder}/{tail}/__init__.py", True), (f"{folder}/{tail}.py", False)):
                if files.is_file(file):
                    spec = ModuleSpec(
                        name, BundleLoader(file, is_package), origin=file, is_package=is_package
                    )
                    spec.has_location = True
                    if is_package:
                        spec.submodule_search_locations = [f"{folder}/{tail}"]
                    return spec
        return None

    def find_distributions(self, context=None):
        """For `importlib.metadata`: the packages whose `.dist-info` lies here."""
        from importlib.metadata import DistributionFinder, MetadataPathFinder

        name = None if context is None else context.name
        return MetadataPathFinder.find_distributions(DistributionFinder.Context(name=name, path=[self.root]))


class BundleLoader:
    """One module of the bundle."""

    def __init__(self, file, is_package):
        self._file = file
        self._is_package = is_package

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name):
        return compile(files.read(self._file), self._file, "exec", dont_inherit=True)

    def get_filename(self, name=None):
        return self._file

    def get_source(self, name=None):
        import tokenize
        from io import BytesIO

        data = files.read(self._file)
        encoding = tokenize.detect_encoding(BytesIO(data).readline)[0]
        return data.decode(encoding)

    def get_data(self, path):
        return files.read(path)

    def is_package(self, name=None):
        return self._is_package

    def get_resource_reader(self, name=None):
        return resources.Reader([self._file.rpartition("/")[0]])


class NamespaceFinder:
    """Folders without `__init__.py`. It comes last: a module or package of that name, wherever it is, goes first."""

    def __init__(self, roots):
        self._roots = roots

    def find_spec(self, name, path=None, target=None):
        tail = name.rpartition(".")[2]
        folders = [f"{folder}/{tail}" for folder in (self._roots if path is None else path)]
        folders = [folder for folder in folders if files.is_folder(folder)]
        if not folders:
            return None
        spec = ModuleSpec(name, NamespaceLoader(folders), is_package=True)
        spec.submodule_search_locations = folders
        return spec


class NamespaceLoader:
    """A package that has no code of its own."""

    def __init__(self, folders):
        self._folders = folders

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        return None

    def get_code(self, name):
        return compile("", "<namespace>", "exec", dont_inherit=True)

    def get_source(self, name):
        return ""

    def is_package(self, name):
        return True

    def get_resource_reader(self, name=None):
        return resources.Reader(self._folders)


def install(packed):
    """Make the pack the only library there is. Build time."""
    from importlib.machinery import BuiltinImporter, FrozenImporter

    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, LibraryFinder(packed)]
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()
    sys.path[:] = [LIBRARY]


def add_bundle(root):
    """Let a worker's own modules be imported: its folder first, the library next, `python_modules` after it, and
    folders that are nothing but folders last."""
    vendored = f"{root}/python_modules"
    sys.path[:] = [root, LIBRARY, vendored]
    sys.meta_path.insert(2, BundleFinder(root))
    sys.meta_path += [BundleFinder(vendored), NamespaceFinder([root, vendored])]
