import Foundation
import Testing

/// Every test of the built binary.
///
/// They share the devices of one machine, so one runs after the other.
@Suite("prime-tool on a real kernel", .inTheLab, .serialized)
struct ToolOnARealKernel {}

extension Trait where Self == ConditionTrait {
  /// Runs in the lab and nowhere else: the tests take displays and unplug devices, which nobody wants on their desktop.
  static var inTheLab: Self {
    .enabled(if: Tool.release != nil, "this needs the kernel and the six devices of the lab: run `make test`")
  }
}

/// The text with what differs from boot to boot replaced: node numbers and PCI addresses.
func steady(_ text: String) -> String {
  text.replacing(/card\d+/, with: "cardN").replacing(/renderD\d+/, with: "renderDN")
    .replacing(/0000:[0-9a-f]{2}:[0-9a-f]{2}\.0/, with: "0000:00:XX.0")
}
