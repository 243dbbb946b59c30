import Foundation
import Glibc
import Prime
import Synchronization
import Testing

/// The V4L2 nodes of the fake kernel: one queue each, whose driver answers what the test told it.
struct FakeVideo: Sendable {
  struct Node: Sendable {
    var number: DeviceNumber
    var capability: KernelVideoCapability
    var formats: [UInt32] = []
    /// What `VIDIOC_S_FMT` makes of a wish, nil for the wish itself.
    var format: KernelVideoFormat?
    var queueing: Errno?
    /// What it does with the buffers that it was given; nil never gives one back.
    var engine: Engine?
  }

  enum Engine: Sendable {
    /// Copies what it reads from its output queue.
    case copies
    /// Gives buffers back and does nothing.
    case doesNothing
    /// Copies what it read the first time, again and again.
    case copiesTheFirst
    /// Fills the buffer with a byte, but for so many bytes at its end.
    case fills(UInt8, leaving: Int)
  }

  /// By path; `FakeKernel.init(otherNodes:)` names the path too.
  var nodes: [String: Node] = [:]
  var queued: [KernelVideoBuffer] = []
  /// What a driver's own buffers are, by node.
  var own: [String: Int] = [:]
  var firstRead: [UInt8]?
}

extension FakeKernel.State {
  /// Does what the engine of a node does, and gives the capture buffer back.
  mutating func workVideo(_ engine: FakeVideo.Engine, path: String, type: UInt32) throws -> KernelVideoBuffer {
    guard let place = video.queued.firstIndex(where: { $0.type == type }) else { throw Errno.tryAgain }
    let target = video.queued.remove(at: place)
    let source = video.queued.first { $0.type != type }
    let memory =
      target.memory == 4
      ? try memory(ofDMABuf: target.planes[0].descriptor, "VIDIOC_DQBUF") : try #require(video.own[path])
    let read = try source.map { memories[try self.memory(ofDMABuf: $0.planes[0].descriptor, "VIDIOC_DQBUF")].bytes() }
    video.firstRead = video.firstRead ?? read
    switch engine {
    case .doesNothing: break
    case .copies: if let read { memories[memory].store(read) }
    case .copiesTheFirst: if let first = video.firstRead { memories[memory].store(first) }
    case .fills(let byte, let rest):
      memories[memory].store([UInt8](repeating: byte, count: memories[memory].byteCount - rest))
    }
    return target
  }
}

extension FakeKernel {
  func addVideo(_ path: String, _ node: FakeVideo.Node) {
    state.withLock { $0.video.nodes[path] = node }
  }

  private func video<Value: Sendable>(
    _ descriptor: CInt, _ body: (inout State, FakeVideo.Node) throws -> Value
  ) -> CallResult<Value> {
    video(descriptor) { state, node, _ in try body(&state, node) }
  }

  private func video<Value: Sendable>(
    _ descriptor: CInt, _ body: (inout State, FakeVideo.Node, _ path: String) throws -> Value
  ) -> CallResult<Value> {
    state.withLock { state in
      guard case .plain(let path) = state.descriptors[descriptor], let node = state.video.nodes[path] else {
        return .failure(.notATerminal)
      }
      do {
        return .success(try body(&state, node, path))
      } catch let errno as Errno {
        return .failure(errno)
      } catch {
        fatalError("the fake kernel threw \(error)")
      }
    }
  }

  func nodeNumber(_ path: String) -> CallResult<DeviceNumber> {
    state.withLock { state in
      if let node = state.video.nodes[path] { return .success(node.number) }
      guard FileManager.default.fileExists(atPath: path) else { return .failure(.noSuchFile) }
      if let other = state.faults.nodeMinors.first(where: { path.hasSuffix($0.key) }) {
        return .success(DeviceNumber(major: 226, minor: other.value))
      }
      // Files of a tree on the disk have no numbers: they are as the kernel numbers nodes of these names.
      let name = path.split(separator: "/").last ?? ""
      for prefix in ["card", "renderD"] where name.hasPrefix(prefix) {
        if let minor = UInt32(name.dropFirst(prefix.count)) {
          return .success(DeviceNumber(major: 226, minor: minor))
        }
      }
      return .failure(.notATerminal)
    }
  }

  func videoCapability(_ descriptor: CInt) -> CallResult<KernelVideoCapability> {
    video(descriptor) { _, node in node.capability }
  }

  func videoFormatCode(_ descriptor: CInt, type: UInt32, index: UInt32) -> CallResult<UInt32> {
    video(descriptor) { _, node in
      guard node.formats.indices.contains(Int(index)) else { throw Errno.invalidArgument }
      return node.formats[Int(index)]
    }
  }

  func videoFormat(_ descriptor: CInt, type: UInt32) -> CallResult<KernelVideoFormat> {
    video(descriptor) { _, node in
      node.format
        ?? KernelVideoFormat(
          type: type, width: 1, height: 1, pixelFormat: node.formats.first ?? 0, field: 1,
          planes: [.init(bytesPerLine: 4, sizeImage: 4)])
    }
  }

  func videoSetFormat(_ descriptor: CInt, _ format: KernelVideoFormat) -> CallResult<KernelVideoFormat> {
    video(descriptor) { _, node in
      if let format = node.format { return format }
      // In the pitch that was asked for.
      let isPlanar = format.pixelFormat == VideoFourcc.nv12.rawValue
      let pitch = max(format.planes[0].bytesPerLine, format.width * (isPlanar ? 1 : 4))
      return KernelVideoFormat(
        type: format.type, width: format.width, height: format.height, pixelFormat: format.pixelFormat, field: 1,
        planes: [.init(bytesPerLine: pitch, sizeImage: pitch * format.height * (isPlanar ? 3 : 2) / 2)])
    }
  }

  func videoRequestBuffers(_ descriptor: CInt, type: UInt32, memory: UInt32, count: UInt32) -> CallResult<UInt32> {
    video(descriptor) { _, _ in count }
  }

  func videoExportBuffer(_ descriptor: CInt, type: UInt32, index: UInt32, plane: UInt32) -> CallResult<CInt> {
    video(descriptor) { state, node, path in
      guard node.engine != nil else { throw Errno.notATerminal }
      // As much as the tests' pictures need.
      let memory = try state.newMemory(byteCount: 65536, exporter: nil)
      state.video.own[path] = memory
      return try state.exportDescriptor(of: memory, writable: true)
    }
  }

  func videoQueueBuffer(_ descriptor: CInt, _ buffer: KernelVideoBuffer) -> CallResult<Void> {
    video(descriptor) { state, node in
      if let errno = node.queueing { throw errno }
      state.video.queued.append(buffer)
    }
  }

  func videoDequeueBuffer(_ descriptor: CInt, _ buffer: KernelVideoBuffer) -> CallResult<KernelVideoBuffer> {
    video(descriptor) { state, node, path in
      guard let engine = node.engine else { throw Errno.tryAgain }
      return try state.workVideo(engine, path: path, type: buffer.type)
    }
  }

  func videoStream(_ descriptor: CInt, type: UInt32, on: Bool) -> CallResult<Void> {
    video(descriptor) { state, _ in if !on { state.video.queued = [] } }
  }

  func videoConnection(_ descriptor: CInt, isOutput: Bool, index: UInt32) -> CallResult<KernelVideoConnection> {
    .failure(.invalidArgument)
  }

  func videoChosenConnection(_ descriptor: CInt, isOutput: Bool) -> CallResult<Int32> { .failure(.notATerminal) }

  func videoChooseConnection(_ descriptor: CInt, isOutput: Bool, index: Int32) -> CallResult<Void> {
    .failure(.notATerminal)
  }

  func videoOfferedTimings(_ descriptor: CInt, index: UInt32) -> CallResult<KernelVideoTimings> {
    .failure(.notATerminal)
  }

  func videoTimings(_ descriptor: CInt) -> CallResult<KernelVideoTimings> { .failure(.notATerminal) }

  func videoSetTimings(_ descriptor: CInt, _ timings: KernelVideoTimings) -> CallResult<Void> {
    .failure(.notATerminal)
  }

  func videoNextControl(_ descriptor: CInt, after id: UInt32) -> CallResult<KernelVideoControl> {
    .failure(.invalidArgument)
  }

  func videoMenuItem(_ descriptor: CInt, control: UInt32, index: UInt32) -> CallResult<String> {
    .failure(.invalidArgument)
  }

  func videoControl(_ descriptor: CInt, _ control: UInt32) -> CallResult<Int32> { .failure(.invalidArgument) }

  func videoSetControl(_ descriptor: CInt, _ control: UInt32, _ value: Int32) -> CallResult<Void> {
    .failure(.invalidArgument)
  }
}
