internal import Glibc
internal import Prime
internal import PrimeProcesses

/// What every witness program does around its renderer.
package enum WitnessProcess {
  /// Serves the tool that started this program, and ends with it.
  ///
  /// - Parameters:
  ///   - name: The program's name, for messages.
  ///   - command: What starts this program, for whoever starts it by hand.
  ///   - open: Opens the renderer of a DRM node, given by its path. What keeps it from that is told when it is asked.
  package static func serve(
    _ name: String, startedBy command: String, _ open: (String) throws -> any WitnessRenderer
  ) {
    let environment = ProgramProcess.environment()
    guard let socket = environment["PRIME_SOCKET"].flatMap({ CInt($0) }), let node = environment["PRIME_NODE"] else {
      say("`\(command)` starts this program, and gives it PRIME_SOCKET and PRIME_NODE")
      exit(64)
    }
    let renderer: any WitnessRenderer
    do {
      renderer = try open(node)
    } catch {
      renderer = NoRenderer(error)
    }
    do {
      try WitnessService(socket: socket, renderer).run()
    } catch {
      say("\(error)")
      exit(1)
    }
    func say(_ sentence: String) {
      let line = Array("\(name): \(sentence)\n".utf8)
      // Safe: write reads at most the bytes it is given.
      _ = unsafe line.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
  }
}

extension WitnessAnswer.Renderer {
  /// Whether a renderer's name is one of those that compute on the processor.
  ///
  /// virgl says whose driver draws on the host behind its own name, `virgl (LLVMPIPE …)`: for this machine it is a device.
  package static func isSoftware(named name: String) -> Bool {
    let names = ["llvmpipe", "softpipe", "swrast", "lavapipe", "swiftshader", "software"]
    return names.contains(where: name.lowercased().hasPrefix)
  }
}

/// Declines everything with what kept a renderer from being there.
private final class NoRenderer: WitnessRenderer {
  private let error: any Error
  let name = ""
  let kind = WitnessAnswer.Renderer.unknown

  init(_ error: any Error) { self.error = error }

  func look(
    at picture: borrowing SharedPicture, into bytes: inout MutableSpan<UInt8>, _ memory: PictureLayout
  ) throws { throw error }

  func makeBuffer(_ request: AllocationRequest) throws -> BufferObject { throw error }

  func draw(
    _ bytes: Span<UInt8>, _ memory: PictureLayout, into picture: borrowing SharedPicture
  ) throws { throw error }
}
