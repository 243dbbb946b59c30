internal import Prime

extension Check {
  /// Does something without `CAP_SYS_ADMIN` and every other capability, and has them again afterwards.
  ///
  /// The node's own permissions are not what such a statement is about, so files are still opened as their owner.
  package func unprivileged<Value>(_ body: () throws -> Value) throws -> Value {
    guard let value = try kernel.withoutCapabilities(body) else {
      throw Statement.Stop.broken("the process could not give up its capabilities")
    }
    return value
  }
}
