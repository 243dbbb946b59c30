internal import Prime

/// The conformance statements: what dma-buf, PRIME and KMS promise, in groups named by a letter.
package enum Contract {
  /// A group of statements.
  package struct Group: Hashable, Sendable {
    package let letter: Character
    package let title: String
  }

  /// Every group, in order.
  package static let groups: [Group] = [
    Group(letter: "A", title: "dma-buf as a file"),
    Group(letter: "B", title: "mmap of a dma-buf"),
    Group(letter: "C", title: "DMA_BUF_IOCTL_SYNC"),
    Group(letter: "D", title: "names and introspection"),
    Group(letter: "E", title: "implicit fences, poll and sync_file"),
    Group(letter: "F", title: "PRIME export"),
    Group(letter: "G", title: "PRIME import and handles"),
    Group(letter: "H", title: "lifetime and process boundaries"),
    Group(letter: "I", title: "dumb buffers"),
    Group(letter: "J", title: "framebuffers"),
    Group(letter: "K", title: "master, atomic commits, flips, fences on scanout"),
    Group(letter: "L", title: "nodes, capabilities, permissions"),
    Group(letter: "M", title: "data visibility"),
    Group(letter: "N", title: "udmabuf and dma-heaps"),
    Group(letter: "O", title: "hot-unplug"),
  ]

  /// Every statement, in the order of its id.
  package static let statements: [Statement] = [
    dmaBufFile, mappings, syncBrackets, introspection, fences, exports, imports, lifetimes, dumbBuffers, framebuffers,
    modeSetting, permissions, visibility, systemMemory, hotUnplug,
  ].flatMap { $0 }.sorted { $0.id < $1.id }
}
