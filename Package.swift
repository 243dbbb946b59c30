// swift-tools-version: 6.2
import PackageDescription

let librarySettings: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let testSettings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

/// memfd_create, strerrorname_np and strerrordesc_np are GNU extensions, hidden without this.
let gnuSource: [CSetting] = [.define("_GNU_SOURCE")]

let package = Package(
  name: "prime-tool",
  products: [
    .library(name: "Prime", targets: ["Prime"]),
    .executable(name: "prime-tool", targets: ["prime-tool"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
  ],
  targets: [
    .systemLibrary(
      name: "CDrm", pkgConfig: "libdrm gbm", providers: [.apt(["libdrm-dev", "libgbm-dev"])]),
    // A handler of SIGBUS needs state that is one in the whole process, which a header cannot hold.
    .target(name: "CFaults"),
    .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
    .target(name: "Prime", dependencies: ["CDrm", "CFaults"], cSettings: gnuSource, swiftSettings: librarySettings),
    .executableTarget(
      name: "prime-tool",
      dependencies: ["Prime", "CPNG", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      cSettings: gnuSource,
      swiftSettings: librarySettings),
    .executableTarget(
      name: "prime-benchmark", dependencies: ["Prime"], cSettings: gnuSource, swiftSettings: librarySettings),
    // prime-tool for its PNG files.
    .testTarget(
      name: "PrimeTests", dependencies: ["Prime", "prime-tool"], cSettings: gnuSource, swiftSettings: testSettings),
    .testTarget(
      name: "PrimeDeviceTests", dependencies: ["Prime"], cSettings: gnuSource, swiftSettings: testSettings),
    .testTarget(
      name: "PrimeToolTests", dependencies: ["Prime"], cSettings: gnuSource, swiftSettings: testSettings),
  ]
)
