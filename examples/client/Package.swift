// swift-tools-version: 6.2
import PackageDescription

// A package of somebody who uses the library: nothing of prime-tool's own settings reaches it.
let package = Package(
  name: "share-a-buffer",
  dependencies: [.package(name: "prime-tool", path: "../..")],
  targets: [
    .executableTarget(
      name: "share-a-buffer", dependencies: [.product(name: "Prime", package: "prime-tool")])
  ]
)
