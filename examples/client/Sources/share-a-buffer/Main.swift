import Glibc
import Prime

@main
struct Main {
  static func main() {
    guard CommandLine.arguments.count == 3 else {
      print("usage: share-a-buffer EXPORTER IMPORTER")
      exit(64)
    }
    do {
      try share(from: CommandLine.arguments[1], with: CommandLine.arguments[2])
    } catch {
      print(error)
      exit(1)
    }
  }
}
