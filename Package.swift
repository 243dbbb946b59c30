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

/// The tests play other programs, with names of glibc's that its headers show only then.
let gnuSource: [CSetting] = [.define("_GNU_SOURCE")]

let package = Package(
  name: "prime-tool",
  products: [
    .library(name: "Prime", targets: ["Prime"]),
    .library(name: "PrimeVerify", targets: ["PrimeVerify"]),
    .library(name: "PrimeContract", targets: ["PrimeContract"]),
    .executable(name: "prime-tool", targets: ["prime-tool"]),
    .executable(name: "prime-witness-gl", targets: ["prime-witness-gl"]),
    .executable(name: "prime-witness-vulkan", targets: ["prime-witness-vulkan"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0")
  ],
  targets: [
    .systemLibrary(
      name: "CDrm", pkgConfig: "libdrm gbm", providers: [.apt(["libdrm-dev", "libgbm-dev"])]),
    // A handler of SIGBUS needs state that is one in the whole process, which a header cannot hold.
    .target(name: "CFaults"),
    // What a process is started with is told once, to a constructor, and handlers of signals need state that is one in the
    // whole process; a header can hold neither.
    .target(name: "CProcess"),
    // Headers alone: the calls of the contract's statements, with arguments that no library would pass.
    .systemLibrary(name: "CProbe"),
    .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
    // Share, fence and show buffers.
    .target(
      name: "Prime", dependencies: ["CDrm", "CFaults", "CProcess"], path: "Sources/Prime/Core",
      swiftSettings: librarySettings),
    // Work in processes that may die, and what the kernel says of them.
    .target(
      name: "PrimeProcesses", dependencies: ["Prime", "CProcess"], path: "Sources/Prime/Processes",
      swiftSettings: librarySettings),
    // Prove that a buffer arrives.
    .target(
      name: "PrimeVerify", dependencies: ["Prime", "PrimeProcesses", "CDrm"], path: "Sources/Prime/Verify",
      swiftSettings: librarySettings),
    // The conformance statements.
    .target(
      name: "PrimeContract", dependencies: ["Prime", "PrimeProcesses", "CProbe"], path: "Sources/Prime/Contract",
      swiftSettings: librarySettings),
    .executableTarget(
      name: "prime-tool",
      dependencies: [
        "Prime", "PrimeProcesses", "PrimeVerify", "PrimeContract", "CProcess", "CPNG",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: librarySettings),
    .systemLibrary(name: "CGL", pkgConfig: "egl glesv2", providers: [.apt(["libegl-dev", "libgles-dev"])]),
    // A program of its own: what a GPU's driver does to its process, it does not do to the tool.
    .executableTarget(
      name: "prime-witness-gl", dependencies: ["Prime", "PrimeVerify", "CGL"], swiftSettings: librarySettings),
    // Headers alone: the library is loaded at run time, where it is there.
    .systemLibrary(name: "CVulkan", providers: [.apt(["libvulkan-dev"])]),
    .executableTarget(
      name: "prime-witness-vulkan", dependencies: ["Prime", "PrimeVerify", "CVulkan"], swiftSettings: librarySettings),
    .executableTarget(
      name: "prime-benchmark", dependencies: ["Prime", "PrimeVerify"], swiftSettings: librarySettings),
    // prime-tool for its PNG files, prime-witness-vulkan for its choice of a device.
    .testTarget(
      name: "PrimeTests",
      dependencies: ["Prime", "PrimeProcesses", "PrimeVerify", "PrimeContract", "prime-tool", "prime-witness-vulkan"],
      cSettings: gnuSource,
      swiftSettings: testSettings),
    .testTarget(
      name: "PrimeDeviceTests", dependencies: ["Prime", "PrimeProcesses", "PrimeVerify", "PrimeContract"],
      cSettings: gnuSource, swiftSettings: testSettings),
    .testTarget(
      name: "PrimeToolTests", dependencies: ["Prime", "PrimeProcesses", "PrimeVerify", "PrimeContract"],
      cSettings: gnuSource, swiftSettings: testSettings),
  ]
)
