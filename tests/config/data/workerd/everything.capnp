# Every struct, field and arm of a union that workerd 1.20261117.1 has, once; everything.bin is what its
# `compile --config-only` made of it.

using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ (name = "main", worker = .w), (name = "n", network = (allow = ["private"], deny = ["1.2.3.0/24"], tlsOptions = (trustBrowserCas = true))),
    (name = "e", external = (address = "a:1", https = (options = (style = proxy, forwardedProtoHeader = "f", cfBlobHeader = "c", injectRequestHeaders = [(name = "a", value = "b"), (name = "z")], injectResponseHeaders = [(name = "r")], capnpConnectHost = "h"), tlsOptions = (keypair = (privateKey = "k", certificateChain = "c"), requireClientCerts = true, trustedCertificates = ["t"], minVersion = tls1Dot3, cipherList = "l"), certificateHost = "ch"))),
    (name = "t", external = (address = "a:1", tcp = (tlsOptions = (), certificateHost = "th"))),
    (name = "d", disk = (path = "p", writable = true, allowDotfiles = true)),
    (name = "s", worker = (serviceWorkerScript = "s", compatibilityDate = "d")),
    (name = "i", worker = (inherit = "main", durableObjectUniqueKeyModifier = "mod", durableObjectStorage = (localDisk = "d"))),
  ],
  sockets = [ (name = "a", address = "*:1", http = (), service = (name = "main", entrypoint = "E", props = (json = "{}"))), (name = "b", https = (options = (), tlsOptions = ()), service = "s"), (name = "c", tcp = (tlsOptions = ()), service = "s") ],
  v8Flags = ["v"], autogates = ["g"], structuredLogging = true, logging = (structuredLogging = true, stdoutPrefix = "o", stderrPrefix = "e"),
  extensions = [(modules = [(name = "x:y", internal = true, esModule = "m")])],
);
const w :Workerd.Worker = (
  modules = [(name = "a", esModule = embed "everything.js"), (name = "b", commonJsModule = "b", namedExports = ["n"]), (name = "c", text = "c"), (name = "d", data = "d"), (name = "e", wasm = "e"), (name = "f", json = "f"), (name = "g", pythonModule = "g")],
  compatibilityDate = "2025-01-01", compatibilityFlags = ["f"],
  bindings = [(name = "1", text = "t"), (name = "2", data = "d"), (name = "3", json = "j"), (name = "4", wasmModule = "w"),
    (name = "5", cryptoKey = (hex = "h", algorithm = (json = "{}"), extractable = true, usages = [sign, unwrapKey])), (name = "6", service = "s"),
    (name = "7", durableObjectClass = "s"), (name = "8", durableObjectNamespace = (className = "C", serviceName = "S")), (name = "9", kvNamespace = "k"),
    (name = "10", r2Bucket = "r"), (name = "11", wrapped = (moduleName = "m", entrypoint = "e", innerBindings = [(name = "in", text = "t")])), (name = "12", queue = "q"),
    (name = "13", fromEnvironment = "E"), (name = "14", analyticsEngine = "a"), (name = "15", hyperdrive = (designator = "d", database = "b", user = "u", password = "p", scheme = "s")),
    (name = "16", unsafeEval = void), (name = "17", memoryCache = (id = "i", limits = (maxKeys = 1, maxValueSize = 2, maxTotalValueSize = 3))), (name = "18", workerLoader = (id = "l")), (name = "19", workerdDebugPort = void),
    (name = "20", parameter = (type = (cryptoKey = [sign]), optional = true)), (name = "21", parameter = (type = (durableObjectNamespace = void)))],
  globalOutbound = "n", cacheApiOutbound = "c", durableObjectNamespaces = [(className = "C", uniqueKey = "u", preventEviction = true, enableSql = true, container = (imageName = "img", privileges = (capabilities = ["c"], devices = [(pathOnHost = "h", pathInContainer = "c", cgroupPermissions = "p")], securityOpt = ["o"]))), (className = "D", ephemeralLocal = void)],
  durableObjectUniqueKeyModifier = "m", durableObjectStorage = (inMemory = void), moduleFallback = "mf", tails = ["t"], streamingTails = ["st"],
  containerEngine = (localDocker = (socketPath = "s", containerEgressInterceptorImage = "i")), accessBlobHeader = "ab", accessBindingService = "abs",
);
