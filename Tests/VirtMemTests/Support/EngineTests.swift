import Testing

/// The suites that use the engine. There is one engine in a process, with one
/// list of recently used blocks, so they run one after another.
@Suite(.serialized) enum EngineTests {}
