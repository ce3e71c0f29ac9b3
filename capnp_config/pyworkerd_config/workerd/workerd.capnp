# The schema of workerd's configuration, as `import "/workerd/workerd.capnp"` finds it.
#
# Names, numbers, types and defaults are workerd's, so that files written for it are read here, and messages encoded by
# it are decoded. What each field means to pyworkerd, and which ones it refuses, is in docs/support.md.

@0xe6afd26682091c01;

struct Config {
  # All that one server runs. A file has one constant of this type, or several to choose from by name.

  services @0 :List(Service);
  # One named "internet" is added if there is none: the public network.
  sockets @1 :List(Socket);
  v8Flags @2 :List(Text);
  extensions @3 :List(Extension);
  autogates @4 :List(Text);
  structuredLogging @5 :Bool = false;
  # The older place of `logging.structuredLogging`.
  logging @6 :LoggingOptions;
}

struct LoggingOptions {
  structuredLogging @0 :Bool = false;
  stdoutPrefix @1 :Text;
  stderrPrefix @2 :Text;
}

struct Socket {
  # A listening address, and the service behind it.

  name @0 :Text;
  address @1 :Text;
  # May be left out if `--socket-addr NAME=ADDRESS` gives it.

  union {
    http @2 :HttpOptions;
    https :group {
      options @3 :HttpOptions;
      tlsOptions @4 :TlsOptions;
    }
    tcp :group {
      tlsOptions @6 :TlsOptions;
    }
    udp :group {
      idleTimeoutMs @7 :UInt32 = 30000;
      maxPendingBytes @8 :UInt32 = 262144;
    }
  }

  service @5 :ServiceDesignator;
}

struct Service {
  # A named thing that requests can be sent to.

  name @0 :Text;

  union {
    unspecified @1 :Void;
    # Nothing was written.
    worker @2 :Worker;
    network @3 :Network;
    external @4 :ExternalServer;
    disk @5 :DiskDirectory;
  }
}

struct ServiceDesignator {
  # Which service is meant. A text alone is its name.

  name @0 :Text;
  entrypoint @1 :Text;
  # The named export; without one the default export.

  props :union {
    # What the target sees as `ctx.props`.
    empty @2 :Void;
    json @3 :Text;
  }
}

struct WorkflowsEngine {
  actorClass @0 :ServiceDesignator;
  workflows @1 :List(Workflow);

  struct Workflow {
    className @0 :Text;
    name @1 :Text;
    bindingService @2 :ServiceDesignator;
  }
}

struct Worker {
  # A program, and what it may use.

  union {
    modules @0 :List(Module);
    # The first is the main one.
    serviceWorkerScript @1 :Text;
    # One script in the older syntax: `addEventListener("fetch", ...)`.
    inherit @2 :Text;
    # The name of another service: the same program with other bindings.
  }

  struct Module {
    name @0 :Text;
    # By which other modules import it: a path, relative to which theirs are understood.

    union {
      esModule @1 :Text;
      commonJsModule @2 :Text;
      text @3 :Text;
      data @4 :Data;
      wasm @5 :Data;
      json @6 :Text;
      obsolete @7 :Text;
      pythonModule @8 :Text;
      obsoletePythonRequirement @9 :Text;
    }

    namedExports @10 :List(Text);
    # Of a CommonJS module.
  }

  compatibilityDate @3 :Text;
  compatibilityFlags @4 :List(Text);

  bindings @5 :List(Binding);

  struct Binding {
    # A name on `env`; in the older syntax a global variable.

    name @0 :Text;

    union {
      unspecified @1 :Void;
      # Nothing was written.

      parameter :group {
        # To be filled in by a worker that inherits this one.
        type @2 :Type;
        optional @3 :Bool;
      }

      text @4 :Text;
      data @5 :Data;
      json @6 :Text;
      wasmModule @7 :Data;
      cryptoKey @8 :CryptoKey;
      service @9 :ServiceDesignator;
      durableObjectClass @26 :ServiceDesignator;
      durableObjectNamespace @10 :DurableObjectNamespaceDesignator;
      kvNamespace @11 :ServiceDesignator;
      r2Bucket @12 :ServiceDesignator;
      obsolete0 @13 :ServiceDesignator;
      wrapped @14 :WrappedBinding;
      queue @15 :ServiceDesignator;
      fromEnvironment @16 :Text;
      # The name of a variable of the process.
      analyticsEngine @17 :ServiceDesignator;

      hyperdrive :group {
        designator @18 :ServiceDesignator;
        database @19 :Text;
        user @20 :Text;
        password @21 :Text;
        scheme @22 :Text;
      }

      unsafeEval @23 :Void;

      memoryCache :group {
        id @24 :Text;
        limits @25 :MemoryCacheLimits;
      }

      workerLoader :group {
        id @27 :Text;
      }

      workerdDebugPort @28 :Void;
    }

    struct Type {
      # What a parameter has to be filled in with.
      union {
        unspecified @0 :Void;
        text @1 :Void;
        data @2 :Void;
        json @3 :Void;
        wasm @4 :Void;
        cryptoKey @5 :List(CryptoKey.Usage);
        service @6 :Void;
        durableObjectNamespace @7 :Void;
        kvNamespace @8 :Void;
        r2Bucket @9 :Void;
        obsolete0 @10 :Void;
        queue @11 :Void;
        analyticsEngine @12 :Void;
        hyperdrive @13 :Void;
        durableObjectClass @14 :Void;
        workerdDebugPort @15 :Void;
      }
    }

    struct DurableObjectNamespaceDesignator {
      # A class of Durable Objects. A text alone is the name of one of this worker's own.
      className @0 :Text;
      serviceName @1 :Text;
    }

    struct CryptoKey {
      union {
        raw @0 :Data;
        hex @1 :Text;
        base64 @2 :Text;
        pkcs8 @3 :Text;
        # PEM.
        spki @4 :Text;
        # PEM.
        jwk @5 :Text;
      }

      algorithm :union {
        name @6 :Text;
        json @7 :Text;
      }

      extractable @8 :Bool = false;
      usages @9 :List(Usage);

      enum Usage {
        encrypt @0;
        decrypt @1;
        sign @2;
        verify @3;
        deriveKey @4;
        deriveBits @5;
        wrapKey @6;
        unwrapKey @7;
      }
    }

    struct MemoryCacheLimits {
      maxKeys @0 :UInt32;
      maxValueSize @1 :UInt32;
      maxTotalValueSize @2 :UInt64;
    }

    struct WrappedBinding {
      # What a function of an extension makes of other bindings.
      moduleName @0 :Text;
      entrypoint @1 :Text = "default";
      # The name by which the module exports the function.
      innerBindings @2 :List(Binding);
    }
  }

  globalOutbound @6 :ServiceDesignator = "internet";
  # Where the worker's own `fetch()` goes.
  cacheApiOutbound @11 :ServiceDesignator;
  durableObjectNamespaces @7 :List(DurableObjectNamespace);

  struct DurableObjectNamespace {
    className @0 :Text;

    union {
      uniqueKey @1 :Text;
      # What the ids of its objects are made from.
      ephemeralLocal @2 :Void;
    }

    preventEviction @3 :Bool;
    enableSql @4 :Bool;
    container @5 :ContainerOptions;

    struct ContainerOptions {
      imageName @0 :Text;
      privileges @1 :ContainerPrivileges;
      images @2 :List(NamedImage);

      struct NamedImage {
        name @0 :Text;
        image @1 :Text;
      }

      struct ContainerPrivileges {
        capabilities @0 :List(Text);
        devices @1 :List(Device);
        securityOpt @2 :List(Text);

        struct Device {
          pathOnHost @0 :Text;
          pathInContainer @1 :Text;
          cgroupPermissions @2 :Text;
        }
      }
    }
  }

  durableObjectUniqueKeyModifier @8 :Text;
  # Part of the ids of a worker's objects that inherits another's classes.

  durableObjectStorage :union {
    none @9 :Void;
    inMemory @10 :Void;
    localDisk @12 :Text;
    # The name of a service that is a disk.
  }

  moduleFallback @13 :Text;
  tails @14 :List(ServiceDesignator);
  streamingTails @15 :List(ServiceDesignator);

  containerEngine :union {
    none @16 :Void;
    localDocker @17 :DockerConfiguration;
  }

  struct DockerConfiguration {
    socketPath @0 :Text;
    containerEgressInterceptorImage @1 :Text;
  }

  accessBlobHeader @18 :Text;
  accessBindingService @19 :ServiceDesignator;
  workflowsEngine @20 :WorkflowsEngine;
}

struct ExternalServer {
  # One fixed server: whatever host a request names, it is sent there.

  address @0 :Text;
  # May be left out if `--external-addr NAME=ADDRESS` gives it.

  union {
    http @1 :HttpOptions;
    https :group {
      options @2 :HttpOptions;
      tlsOptions @3 :TlsOptions;
      certificateHost @4 :Text;
    }
    tcp :group {
      tlsOptions @5 :TlsOptions;
      certificateHost @6 :Text;
    }
  }
}

struct Network {
  # Whatever servers requests name, as far as one entry of `allow` matches their address and none of `deny`.

  allow @0 :List(Text) = ["public"];
  deny @1 :List(Text);
  tlsOptions @2 :TlsOptions;
}

struct DiskDirectory {
  # The files of a folder, over HTTP.

  path @0 :Text;
  # From the working directory of the server, not from the file's folder. May be left out if
  # `--directory-path NAME=PATH` gives it.
  writable @1 :Bool = false;
  allowDotfiles @2 :Bool = false;
}

struct HttpOptions {
  style @0 :Style = host;

  enum Style {
    host @0;
    # A path in the request line, and a Host header.
    proxy @1;
    # A whole URL in the request line.
  }

  forwardedProtoHeader @1 :Text;
  cfBlobHeader @2 :Text;
  injectRequestHeaders @3 :List(Header);
  injectResponseHeaders @4 :List(Header);

  struct Header {
    name @0 :Text;
    value @1 :Text;
    # Null: the header is taken away.
  }

  capnpConnectHost @5 :Text;
}

struct TlsOptions {
  # Of a server or a client. Certificates and keys are PEM.

  keypair @0 :Keypair;

  struct Keypair {
    privateKey @0 :Text;
    certificateChain @1 :Text;
  }

  requireClientCerts @1 :Bool = false;
  trustBrowserCas @2 :Bool = false;
  trustedCertificates @3 :List(Text);
  minVersion @4 :Version = goodDefault;

  enum Version {
    goodDefault @0;
    ssl3 @1;
    tls1Dot0 @2;
    tls1Dot1 @3;
    tls1Dot2 @4;
    tls1Dot3 @5;
  }

  cipherList @5 :Text;
}

struct Extension {
  # Modules that all workers can import by their names.

  modules @0 :List(Module);

  struct Module {
    name @0 :Text;
    internal @1 :Bool = false;
    # Whether only other modules of extensions can import it, and wrapped bindings.
    esModule @2 :Text;
  }
}

struct FallbackServiceRequest {
  # What a module fallback is asked. No configuration has it.

  type @0 :Text;
  specifier @1 :Text;
  rawSpecifier @2 :Text;
  referrer @3 :Text;

  struct Attribute {
    name @0 :Text;
    value @1 :Text;
  }
  attributes @4 :List(Attribute);
}
