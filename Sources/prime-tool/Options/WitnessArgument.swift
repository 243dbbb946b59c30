import Foundation
import Prime
import PrimeVerify

/// Which witness a person means.
enum WitnessArgument {
  /// The programs that come with this tool, by the words that mean them.
  private static let ours = ["gl": WitnessProgram.gl, "vulkan": WitnessProgram.vulkan]

  /// The witness of `--witness`: `gl`, `vulkan`, `none`, or a program with its arguments; without the option the one of
  /// OpenGL ES that lies beside this program, where one does.
  static func choice(_ text: String?, isLoud: Bool) throws -> WitnessChoice? {
    guard let text else { return built(WitnessProgram.gl, isLoud).map { WitnessChoice($0, isNamed: false) } }
    if text == "none" { return nil }
    return WitnessChoice(try named(text, isLoud: isLoud), isNamed: true)
  }

  /// The program that draws for `gpu:DEVICE`: the one that `--witness` names, else the one of OpenGL ES.
  static func drawing(_ text: String?) throws -> WitnessProgram {
    try named(text == "none" ? "gl" : text ?? "gl", isLoud: false)
  }

  private static func named(_ text: String, isLoud: Bool) throws -> WitnessProgram {
    if let name = ours[text] {
      guard let program = built(name, isLoud) else { throw notBuilt(name) }
      return program
    }
    let words = text.split(separator: " ").map(String.init)
    guard let program = WitnessProgram(words, isLoud: isLoud) else {
      throw ExitStatus.usage("--witness takes gl, vulkan, none, or a program with its arguments")
    }
    return program
  }

  private static func notBuilt(_ name: String) -> any Error {
    ExitStatus.usage(
      "\(name) does not lie in \(folder), beside this program: build it with `swift build -c release "
        + "--product \(name)`")
  }

  /// The program of a name that lies beside this one.
  private static func built(_ name: String, _ isLoud: Bool) -> WitnessProgram? {
    let path = "\(folder)/\(name)"
    return FileManager.default.isExecutableFile(atPath: path) ? WitnessProgram([path], isLoud: isLoud) : nil
  }

  /// Where this program lies; its name in `PATH` says it not, its own link does.
  private static var folder: String {
    let path =
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    return (path as NSString).deletingLastPathComponent
  }
}
