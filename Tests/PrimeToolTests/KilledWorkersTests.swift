import Testing

extension ToolOnARealKernel {
  /// SIGKILL at random moments, while another program's picture is on the display that the cells take.
  @Suite("A run that is killed")
  struct Killed {
    private static let exporters = ["vgem", "udmabuf"]

    private func beside(_ body: (DisplayClient) throws -> Void) throws {
      let client = try DisplayClient()
      defer { #expect(throws: Never.self) { try client.end() } }
      try body(client)
    }

    /// `PRIME_WORKER_KILLS`, or few enough for every run.
    @Test func `loses with a worker that worker's cell, and nothing else`() throws {
      try beside { client in
        var scene = try KillScene("by writeback", exporters: Self.exporters, importers: ["vkms", "cirrus"])
        try scene.killWorkers(KillScene.count(10), client)
      }
    }

    /// `PRIME_RUN_KILLS`, or few enough for every run.
    @Test func `leaves workers that put the display back and end`() throws {
      try beside { client in
        var scene = try KillScene("by writeback", exporters: Self.exporters, importers: ["vkms", "cirrus"])
        try scene.killRuns(KillScene.count(3, "PRIME_RUN_KILLS"), client)
      }
    }
  }
}

extension ToolOnARealKernel.WithoutWriteback {
  /// The checksums of a CRTC take several frames, so this look has the display for longest.
  @Test func `a killed worker costs its cell, and the display is as it was`() throws {
    try withoutWriteback {
      let client = try DisplayClient()
      defer { #expect(throws: Never.self) { try client.end() } }
      var scene = try KillScene("by checksum", exporters: ["vgem"], importers: ["vkms", "cirrus"])
      try scene.killWorkers(KillScene.count(3), client)
      try scene.killRuns(KillScene.count(2, "PRIME_RUN_KILLS"), client)
    }
  }
}
