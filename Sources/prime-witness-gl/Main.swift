// Not Foundation: it is started for each pair, and that takes longer to load than the look.
import Prime
import PrimeVerify

/// Looks at buffers for `prime-tool` with the GPU of the node in `PRIME_NODE`, by OpenGL ES; see `docs/handover.md`.
@main
enum Main {
  static func main() {
    WitnessProcess.serve(WitnessProgram.gl, startedBy: "prime-tool verify --witness gl") { (node) throws(PrimeError) in
      try GLRenderer(on: node)
    }
  }
}
