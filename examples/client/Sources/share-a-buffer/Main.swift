import Glibc
import Prime

@main
struct Main {
  static func main() async {
    let words = CommandLine.arguments.dropFirst()
    do {
      switch (words.first, words.count) {
      case ("--show", 2): try await show(on: words[2], for: .seconds(1))
      case ("--pass", 1): try await passAround()
      case (_, 2): try share(from: words[1], with: words[2])
      default:
        print("usage: share-a-buffer EXPORTER IMPORTER | --show DEVICE | --pass")
        exit(64)
      }
    } catch {
      print(error)
      exit(1)
    }
  }
}
